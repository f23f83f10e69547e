"""Pairs of turned digits, each determined by its number."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from ..models import from_pixels, rotate, rotated_batch
from ._rotated_mnist_plan import ONE_CLASS, ROTATION, SAME

_LEFT_OUT = (6, 9)  # a turned 6 is a 9
_NUMBERS = {SAME: 0, ROTATION: 0, ONE_CLASS: 1001}  # seeds of the kinds


class Pair(NamedTuple):
    """Two turned digits, with the true path where it is known.

    - `x0`, `x1`: shape `(1, 28, 28)`, in [-1, 1].
    - `upright`: the digit that was turned, shape `(28, 28)`, if both are of one digit. Then `angle`
      is the angle of x0, and `turn` that from x0 to x1, in radians. The turn is 0 if both are one
      picture.
    - `labels`: their classes.
    """

    x0: Float[Array, "1 28 28"]
    x1: Float[Array, "1 28 28"]
    upright: Float[Array, "28 28"]
    angle: float
    turn: float
    labels: tuple[int, int]


class Digits(NamedTuple):
    """Upright digits in the form of MNIST's files, with labels, as of
    [`geojax.models.load_mnist`][].
    """

    images: UInt8[np.ndarray, "n 28 28"]
    labels: UInt8[np.ndarray, " n"]

    def pair(self, kind: str, delta: int | None, number: int, seed: int) -> Pair:
        """The pair of this number, which does not depend on other numbers.

        Number n of the rotations is one digit, from one start angle, at every `delta`, so that
        figures at several angles can be compared pair by pair. "A to A" is the same digit at that
        angle, twice.

        **Raises:**

        - `ValueError`: when there are no more different ones.
        """
        kept = np.flatnonzero(~np.isin(self.labels, _LEFT_OUT))
        order = np.random.default_rng([seed, _NUMBERS.get(kind, 1002)]).permutation(kept)
        if number >= len(order):
            raise ValueError(f"num_pairs must be at most {len(order)}, the number of digits.")
        first = order[number]
        rng = np.random.default_rng([seed, _NUMBERS.get(kind, 1002), number])
        angles = rng.uniform(0, 2 * math.pi, 2)
        second = first
        if kind not in (SAME, ROTATION):
            alike = self.labels[kept] == self.labels[first]
            others = kept[alike if kind == ONE_CLASS else ~alike]
            others = others[others != first]
            if len(others) == 0:
                raise ValueError(f"there are no two digits for pairs of kind {kind!r}.")
            second = rng.choice(others)
        turn = math.radians(delta or 0)
        one = kind in (SAME, ROTATION)
        ends = (float(angles[0]), float(angles[0] + turn if one else angles[1]))
        x0, x1 = _turned(self.images[first], ends[0]), _turned(self.images[second], ends[1])
        labels = int(self.labels[first]), int(self.labels[second])
        return Pair(x0, x1, from_pixels(self.images[first]), ends[0], turn, labels)

    def turned(self, number: int, seed: int) -> Float[Array, "n 1 28 28"]:
        """At most `number` digits without 6 and 9, each turned by a random angle."""
        rng = np.random.default_rng([seed, 1003])
        kept = rng.permutation(np.flatnonzero(~np.isin(self.labels, _LEFT_OUT)))[:number]
        angles = jnp.asarray(rng.uniform(0, 2 * math.pi, len(kept)), jnp.result_type(float))
        return rotated_batch(jnp.asarray(self.images[kept]), angles)


@jax.jit
def turned_by(
    upright: Float[Array, "28 28"], angles: Float[Array, " n"]
) -> Float[Array, "n 1 28 28"]:
    """One digit at several angles: points of its orbit."""
    return jax.vmap(lambda angle: rotate(upright, angle))(angles)[:, None]


def _turned(image, angle: float):
    return turned_by(from_pixels(image), jnp.asarray([angle], jnp.result_type(float)))[0]
