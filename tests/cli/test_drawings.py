"""The drawings that the demo of cartoon faces shows as the truth."""

import numpy as np
import pytest

from geojax.cli._drawings import nearest, read_drawings
from geojax.models import describe, zoo_folder


def test_the_bundled_drawings_are_small_and_reach_past_b():
    folder = zoo_folder() / "cartoon_faces"
    times, pictures = read_drawings(folder, describe("cartoon_faces"))
    assert (folder / "demo.npz").stat().st_size < 3e5
    assert times[0] == 0
    assert times[-1] == pytest.approx(1.5)
    assert np.all(np.diff(times) > 0)
    # A moving face: neighbours differ less than the ends, and no two pictures are the same.
    steps = np.mean(np.abs(np.diff(pictures.astype(float), axis=0)), axis=(1, 2, 3))
    ends = np.mean(np.abs(pictures[0].astype(float) - nearest(times, pictures, 1.0)))
    assert np.all((steps > 0) & (steps < 0.5 * ends))


def test_the_nearest_drawing():
    pictures = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    found = [int(nearest(np.array([0.0, 0.5, 1.0]), pictures, t)[0, 0, 0]) for t in (0.2, 0.3, 9.0)]
    assert found == [0, 1, 2]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"times": np.array([0.0, 1.0])}, "lacks pictures"),
        ({"pictures": np.zeros((2, 1, 4, 4), np.uint8)}, "as many times as pictures"),
        ({"times": np.array([0.0, 1.0]), "pictures": np.zeros((2, 1, 4, 4))}, "got .*float64"),
        (
            {"times": np.array([0.0, 0.9]), "pictures": np.zeros((2, 1, 4, 4), np.uint8)},
            "including 0",
        ),
        ({"times": np.array([None, 1.0]), "pictures": np.zeros((2, 1, 4, 4))}, "cannot be read"),
    ],
)
def test_files_that_hold_no_drawings(arrays, message, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no demo\.npz"):
        read_drawings(tmp_path, {})
    np.savez(tmp_path / "demo.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_drawings(tmp_path, {"shape": [1, 4, 4]})


@pytest.mark.slow
def test_the_demo_refuses_to_go_beyond_the_drawings(geojax_command, tmp_path):
    command = ["demo", "--model", "cartoon_faces", "--out", tmp_path / "out", "--extent", "0.6"]
    result = geojax_command(*command)
    assert result.exit_code != 0
    assert "--extent must be at most 0.5, got 0.6" in " ".join(result.output.split())
