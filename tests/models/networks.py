"""The tiny networks and training settings that these tests share."""

import copy
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from geojax.models import ROTATED_MNIST_CONFIG

TINY = {"channels": 1, "widths": [4, 8], "num_blocks": 1, "num_middle": 1, "embed_width": 8}
TINY |= {"num_classes": 10, "patch": 4, "heads": 2, "frequencies": 4}


def tiny_config(**training) -> dict[str, Any]:
    """The bundled model's config with a network of a thousand weights, quick to compile."""
    config = copy.deepcopy(ROTATED_MNIST_CONFIG)
    config["network"] = {"name": "image_unet", **TINY, "widths": [4]}
    config["schedule"] = {"name": "vp_cosine"}
    config["shape"] = [1, 16, 16]
    config["training"] |= {"batch_size": 8, "warmup_steps": 2} | training
    return config


def blobs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of 16 x 16 in which the label decides where a bright square is."""
    labels = np.arange(n, dtype=np.uint8) % 10
    images = np.zeros((n, 16, 16), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[label : label + 4, 6:10] = 255
    return images, labels


def random_weights(build, *args, **kwargs):
    """What `build` returns, with weights drawn by NumPy: JAX would compile a draw per shape."""
    like = eqx.filter_eval_shape(build, *args, key=jax.random.key(0), **kwargs)
    rng = np.random.default_rng(0)

    def draw(leaf):
        if not isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        return jnp.asarray(0.3 * rng.standard_normal(leaf.shape), leaf.dtype)

    return jax.tree.map(draw, like)
