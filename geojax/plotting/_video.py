"""Pictures as an MP4 video: what a GIF cannot hold, in a tenth of the bytes."""

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

from .._files import written_whole


def check_video() -> None:
    """**Raises:** `ValueError`, naming the extra, where what writes videos is not installed."""
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ValueError(
            "MP4 videos need imageio-ffmpeg, which is not installed: "
            "python -m pip install 'geojax-diffusion[video]'. GIF needs nothing."
        )


def save_video(
    frames: list[Image.Image], path: Path | str, *, frame_ms: int = 90, hold_ms: int = 700
) -> None:
    """Write pictures as an MP4 (H.264) that runs to the last one and back, whole or not at all.

    Times as for `save_animation`. **Raises:** `ValueError` without frames or without the extra
    ``video``; `OSError` when the encoder fails.
    """
    if not frames:
        raise ValueError("there are no frames to write.")
    check_video()
    import imageio_ffmpeg  # pyright: ignore[reportMissingImports]

    held = round(hold_ms / frame_ms) - 1
    ways = [*[frames[0]] * held, *frames, *[frames[-1]] * held, *frames[-2:0:-1]]
    # The format halves the sides of its colours.
    width, height = (side + side % 2 for side in frames[0].size)
    with written_whole(path) as temporary:
        writer = imageio_ffmpeg.write_frames(
            str(temporary),
            (width, height),
            fps=1000 / frame_ms,
            codec="libx264",
            macro_block_size=1,
            output_params=["-f", "mp4", "-crf", "18"],
            ffmpeg_log_level="error",
        )
        writer.send(None)
        for frame in ways:
            even = Image.new("RGB", (width, height), "white")
            even.paste(frame.convert("RGB"))
            writer.send(np.ascontiguousarray(even))
        writer.close()
