"""MP4 videos: written where ffmpeg is to be had, and refused with the extra's name elsewhere."""

import importlib.util
import subprocess

import numpy as np
import pytest
from PIL import Image

from geojax.plotting import check_video, save_video


def frames():
    return [Image.new("RGB", (33, 20), (80 * i, 0, 0)) for i in range(3)]


def test_a_video(tmp_path):
    reader = pytest.importorskip("imageio_ffmpeg")
    path = tmp_path / "path.mp4"
    save_video(frames(), path, frame_ms=100, hold_ms=300)
    command = [reader.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"h264" in done.stderr and b"34x20" in done.stderr
    pixels = np.frombuffer(done.stdout, np.uint8).reshape(-1, 20, 34, 3)
    reds = pixels[:, :, :32, 0].mean(axis=(1, 2))
    # There and back, the two turning points held for three frames.
    np.testing.assert_allclose(reds, [0, 0, 0, 80, 160, 160, 160, 80], atol=4)


def test_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'geojax-diffusion\[video\]'"):
        check_video()
    with pytest.raises(ValueError, match="there are no frames to write"):
        save_video([], tmp_path / "path.mp4")
