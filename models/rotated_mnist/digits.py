"""The digits and the noise levels of the card's figures."""

import jax
import jax.numpy as jnp
import numpy as np

from geojax.models import load_mnist, rotated_batch

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
NUM_DIGITS = 300
NULL = 10  # the label of none


class Digits:
    """The digits of all measurements: turned by fixed random angles, in [-1, 1]."""

    def __init__(self):
        train, self.train_labels = load_mnist("train")
        test, labels = load_mnist("test")
        keys = jax.random.split(jax.random.key(20), 3)
        self.train = turned(train, jax.random.uniform(keys[0], (len(train),), maxval=2 * np.pi))
        order = jax.random.permutation(keys[1], len(test))[:NUM_DIGITS]
        self.upright = jnp.asarray(test)[order]
        self.labels = jnp.asarray(labels, jnp.int32)[order]
        self.angles = jax.random.uniform(keys[2], (NUM_DIGITS,), maxval=2 * np.pi)
        self.test = turned(self.upright, self.angles)

    def recognised(self, images: np.ndarray, labels) -> float:
        """The share of images whose nearest training digit has the right label."""
        data, x = self.train.reshape(len(self.train), -1), images.reshape(len(images), -1)
        nearest = np.argmax(x @ data.T - np.sum(data**2, axis=1) / 2, axis=1)
        return float(np.mean(self.train_labels[nearest] == np.asarray(labels)))


def turned(images, angles, chunk: int = 5000) -> np.ndarray:
    """Turned digits, shape `(n, 1, 28, 28)`, computed in parts to save memory."""
    turn = jax.jit(rotated_batch)
    parts = [
        np.asarray(turn(jnp.asarray(images[i : i + chunk]), angles[i : i + chunk]))
        for i in range(0, len(images), chunk)
    ]
    return np.concatenate(parts)
