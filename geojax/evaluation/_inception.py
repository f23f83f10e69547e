"""The features of Inception from a local file; with them the Fréchet distance is FID."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from .._arrays import Numbers

_SOURCE = (
    "weights-inception-2015-12-05-6726825d.pth of github.com/toshas/torch-fidelity (release v0.2.0)"
)


def inception_features(
    images: Numbers, weights: Path | str, *, batch_size: int = 32
) -> Float[np.ndarray, "n 2048"]:
    """The pooled features of FID's Inception, by torch-fidelity (extra `fid`).

    [`geojax.evaluation.frechet_distance`][] of two such sets is FID,
    [`geojax.evaluation.kernel_distance`][] KID.

    **Arguments:**

    - `images`: pixels 0 ... 255 (uint8), shape `(n, 3, height, width)`, of any size. They are
      resized as FID prescribes.
    - `weights`: torch-fidelity's file. Nothing is downloaded, and a file that contains anything but
      tensors is refused.
    - `batch_size`: images computed at once.

    **Returns:**

    The features, shape `(n, 2048)`, float64.

    **Raises:**

    - `FileNotFoundError`: without the file.
    - `ImportError`: without torch-fidelity.
    - `ValueError`: on other images or another file.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"images must be uint8 of shape (n, 3, height, width), got {images.dtype} of "
            f"{images.shape}. geojax.models.to_pixels converts."
        )
    torch, fidelity = check_inception(weights)
    try:
        # torch-fidelity would run any code in the file; this call reads tensors only, or raises.
        torch.load(str(weights), weights_only=True, map_location="cpu")
        extractor = fidelity.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        )
    except Exception as error:  # unpickling raises many types, torch its own
        raise ValueError(f"{weights} is not the file that FID needs, {_SOURCE}: {error}") from None
    extractor.eval()
    features = []
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + batch_size]))
            features.append(extractor(batch)[0].numpy().astype(np.float64))
    return np.concatenate(features)


def check_inception(weights: Path | str) -> tuple[Any, Any]:
    """Check that `inception_features` can run; returns torch and the module of torch-fidelity.

    **Raises:**

    - `FileNotFoundError`: without the file.
    - `ImportError`: without torch-fidelity.

    >>> from geojax.evaluation import check_inception
    >>> check_inception("no.pth")
    Traceback (most recent call last):
    ...
    FileNotFoundError: FID needs Inception's weights, and there is no file no.pth: get ...
    """
    if not Path(weights).is_file():
        raise FileNotFoundError(
            f"FID needs Inception's weights, and there is no file {weights}: get {_SOURCE}. "
            "Without it use frechet_distance of other features, which is not called FID."
        )
    try:
        torch = importlib.import_module("torch")
        fidelity = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    except ImportError as error:
        raise ImportError(
            "FID needs torch-fidelity: python -m pip install 'geojax-diffusion[fid]'."
        ) from error
    return torch, fidelity
