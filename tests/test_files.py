"""Arrays from a file: whatever is wrong with it is one error that names the file."""

import numpy as np
import pytest

from geojax._files import read_arrays


def damaged(path):
    """Its middle overwritten: a zip file whose contents do not fit their checksums."""
    np.savez_compressed(path, x=np.arange(1000.0))
    content = bytearray(path.read_bytes())
    content[200:300] = bytes(100)
    path.write_bytes(content)


def cut(path):
    np.savez(path, x=np.arange(1000.0))
    path.write_bytes(path.read_bytes()[:500])


def one_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    "write, message",
    [
        (damaged, "cannot be read as an .npz file"),
        (cut, "cannot be read as an .npz file"),
        (lambda path: path.write_bytes(b""), "cannot be read as an .npz file"),
        (lambda path: path.write_text("no array"), "cannot be read as an .npz file"),
        (lambda path: np.savez(path, x=np.array([None])), "cannot be read as an .npz file"),
        (one_array, "cannot be read as an .npz file"),
        (lambda path: np.savez(path, z=np.zeros(3)), "lacks x, y."),
    ],
)
def test_files_without_these_arrays_are_refused(write, message, tmp_path):
    path = tmp_path / "some.npz"
    write(path)
    with pytest.raises(ValueError, match=rf"some\.npz {message}"):
        read_arrays(path, "x", "y")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "none.npz")
