"""A small classifier of upright and turned digits, whose features serve Fréchet distances."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from .._arrays import Numbers, as_images
from .._files import written_whole
from ._checkpoint import load_arrays, read_config, save_arrays
from ._image_unet import _DTYPE, _Conv, _Norm, _to_patches


class _Block(eqx.Module):
    norm: _Norm
    conv: _Conv

    def __init__(self, channels, *, key):
        self.norm, self.conv = _Norm(channels), _Conv(channels, channels, key=key)

    def __call__(self, h):
        return h + self.conv(jax.nn.silu(self.norm(h)))


class DigitClassifier(eqx.Module):
    """A convolutional classifier of images of shape `(1, 28, 28)` in [-1, 1].

    `classifier(x)` gives the logits of the ten classes, `classifier.features(x)` the features
    before the last layer. It was trained on upright and on turned digits, where a 6 and a 9 differ
    only when they are (nearly) upright. All activations are smooth. Weights and arithmetic are
    float32. The result is float64 if `x` is, else float32.

    **Arguments:**

    - `widths`: channels at 14 x 14 and at 7 x 7 pixels.
    - `num_features`: the number of features.
    - `key`: draws the weights.

    >>> import jax, jax.numpy as jnp
    >>> from geojax.models import DigitClassifier
    >>> classifier = DigitClassifier(widths=(4, 4), num_features=8, key=jax.random.key(0))
    >>> x = jnp.zeros((1, 28, 28))
    >>> classifier(x).shape, classifier.features(x).shape
    ((10,), (8,))
    """

    stem: _Conv
    blocks: list[_Block]
    downs: list[_Conv]
    norm: _Norm
    inner: eqx.nn.Linear
    outer: eqx.nn.Linear

    def __init__(
        self, *, widths: Sequence[int] = (32, 64), num_features: int = 64, key: Key[Array, ""]
    ):
        fine, coarse = widths
        keys = jax.random.split(key, 7)
        self.stem = _Conv(4, fine, key=keys[0])
        self.blocks = [_Block(fine, key=keys[1]), _Block(coarse, key=keys[2])]
        self.downs = [
            _Conv(fine, coarse, stride=2, key=keys[3]),
            _Conv(coarse, coarse, stride=2, key=keys[4]),
        ]
        self.norm = _Norm(coarse)
        self.inner = eqx.nn.Linear(16 * coarse, num_features, dtype=_DTYPE, key=keys[5])
        self.outer = eqx.nn.Linear(num_features, 10, dtype=_DTYPE, key=keys[6])

    def __call__(self, x: Numbers) -> Float[Array, "10"]:
        """The logits, shape `(10,)`; `jax.nn.softmax` of them are probabilities."""
        (x,) = as_images("1 28 28", x=x)
        with jax.default_matmul_precision("highest"):
            return self.outer(self._features(x)).astype(x.dtype)

    def features(self, x: Numbers) -> Float[Array, " features"]:
        """The input of the last layer, which is linear, shape `(num_features,)`."""
        (x,) = as_images("1 28 28", x=x)
        return self._features(x).astype(x.dtype)

    @eqx.filter_jit
    def _features(self, x):
        # Distances between features must not depend on the reduced precision of a device.
        with jax.default_matmul_precision("highest"):
            h = self.stem(_to_patches(x.astype(_DTYPE), 2))
            for block, down in zip(self.blocks, self.downs, strict=True):
                h = down(block(h))
            h = jax.nn.silu(self.norm(h))
            return jax.nn.silu(self.inner(h.reshape(-1)))


def save_classifier(
    folder: Path | str, classifier: DigitClassifier, config: dict[str, Any]
) -> None:
    """Write `config.json` and `model.safetensors`, each whole or not at all."""
    with written_whole(Path(folder) / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n")
    save_arrays(Path(folder) / "model.safetensors", classifier)


def read_classifier(folder: Path | str) -> DigitClassifier:
    """The classifier of a checkpoint folder; errors as for `load_checkpoint`."""
    network = read_config(folder).get("network", {})
    try:
        like = eqx.filter_eval_shape(DigitClassifier, **network, key=jax.random.key(0))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{Path(folder) / 'config.json'} does not describe a DigitClassifier: {error}"
        ) from None
    return load_arrays(Path(folder) / "model.safetensors", like)
