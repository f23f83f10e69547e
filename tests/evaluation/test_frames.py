"""What `frame_figures` refuses; its figures are tested through `geojax evaluate`."""

import jax.numpy as jnp
import pytest

from geojax.evaluation import frame_figures

FRAMES, TIMES = jnp.zeros((3, 1, 4, 4)), jnp.linspace(0, 1, 3)


@pytest.mark.parametrize(
    ("frames", "times", "options", "message"),
    [
        (FRAMES[:1], TIMES[:1], {}, "frames must be at least two, each with its time, got 1 and 1"),
        (FRAMES, TIMES[:2], {}, "got 3 and 2 times"),
        (FRAMES, TIMES, {"truth": FRAMES[:2]}, r"truth must have the shape of the frames, \(3, 1"),
        (FRAMES, TIMES, {"given": FRAMES}, r"given must have shape \(2, 1, 4, 4\), two frames'"),
    ],
)
def test_shapes_that_do_not_fit(frames, times, options, message):
    with pytest.raises(ValueError, match=message):
        frame_figures(frames, times, **options)


def test_equal_frames_have_no_deviation():
    found = frame_figures(FRAMES, TIMES)
    assert found.deviation.tolist() == [*found.steps.tolist(), 0.0] == [0.0] * 3
    assert found.psnr is found.ssim is found.lpips is found.end_error is None
