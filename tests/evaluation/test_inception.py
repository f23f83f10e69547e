"""What is asked of whoever wants FID; the features themselves are torch-fidelity's."""

import sys

import numpy as np
import pytest

from geojax.evaluation import inception_features

IMAGES = np.zeros((2, 3, 32, 32), np.uint8)


def test_a_missing_file_is_named_with_its_source():
    with pytest.raises(FileNotFoundError, match=r"no file w.pth: get weights-inception-2015"):
        inception_features(IMAGES, "w.pth")


def test_without_torch_fidelity(tmp_path, monkeypatch):
    (tmp_path / "w.pth").touch()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"geojax-diffusion\[fid\]"):
        inception_features(IMAGES, tmp_path / "w.pth")


def test_images_must_be_coloured():
    with pytest.raises(ValueError, match=r"uint8 of shape \(n, 3, height, width\), got uint8 of"):
        inception_features(IMAGES[:, :1], "w.pth")
