"""Pictures as an MP4 video, in a tenth of the size of a GIF and with all colours."""

import importlib.util
import subprocess
from pathlib import Path

from PIL import Image

from .._files import written_whole


def check_video() -> None:
    """Check that the writer of videos is installed.

    **Raises:**

    - `ValueError`: names the extra to install.
    """
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ValueError(
            "MP4 videos need imageio-ffmpeg, which is not installed: "
            "python -m pip install 'geojax-diffusion[video]'. GIF needs nothing."
        )


def save_video(
    frames: list[Image.Image], path: Path | str, *, frame_ms: int = 90, hold_ms: int = 700
) -> None:
    """Write pictures as an MP4 (H.264) that runs to the last one and back.

    The file is written whole or not at all.

    **Arguments:**

    - `frames`, `path`, `frame_ms`, `hold_ms`: as for [`geojax.plotting.save_animation`][].

    **Raises:**

    - `ValueError`: without frames or without the extra `video`.
    - `OSError`: when the encoder fails.
    """
    if not frames:
        raise ValueError("there are no frames to write.")
    check_video()
    import imageio_ffmpeg  # pyright: ignore[reportMissingImports]

    pause = round(hold_ms / frame_ms) - 1
    ways = [*[frames[0]] * pause, *frames, *[frames[-1]] * pause, *frames[-2:0:-1]]
    # The format stores colours at half the size, so the sides must be even.
    width, height = (side + side % 2 for side in frames[0].size)
    content = bytearray()
    for frame in ways:
        even = Image.new("RGB", (width, height), "white")
        even.paste(frame.convert("RGB"))
        content += even.tobytes()
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    coded = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "18", "-f", "mp4"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
    command += [*raw, "-r", f"{1000 / frame_ms:.6g}", "-i", "-", *coded]
    with written_whole(path) as temporary:
        done = subprocess.run([*command, str(temporary)], input=content, capture_output=True)
        if done.returncode:
            raise OSError(f"ffmpeg could not write {path}: {done.stderr.decode().strip()}")
