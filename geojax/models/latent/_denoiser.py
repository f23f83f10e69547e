"""A small denoiser of a few numbers, preconditioned as in EDM."""

import itertools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from ..._linalg import matmul
from ...scores import AbstractSchedule

_DTYPE = jnp.float32


class Denoiser(eqx.Module):
    """A denoiser `D(x, t) = c_skip x + c_out F(c_in x, c_noise)`, F a multilayer perceptron.

    With `sigma = schedule.sigma(t)` and data of unit variance: `c_skip = 1 / (sigma^2 + 1)`,
    `c_out = sigma / sqrt(sigma^2 + 1)`, `c_in = 1 / sqrt(sigma^2 + 1)` and
    `c_noise = log(sigma) / 4`. The target of F then has unit size at every level. The network
    predicts the clean point; [`geojax.DataPrediction`][] makes a score of it.

    **Arguments:**

    - `schedule`: with alpha = 1 (`VE`, `EDM`).
    - `dimension`: of a point.
    - `width`, `depth`: of the hidden layers, which are residual.
    - `key`: draws the weights.

    **Raises:**

    - `ValueError`: on sizes below 1.

    Source: Karras et al. 2022 (EDM), table 1.

    >>> import jax, jax.numpy as jnp, geojax
    >>> from geojax.models.latent import Denoiser
    >>> schedule = geojax.VE(0.1, 2.0)
    >>> network = Denoiser(schedule, 3, width=8, depth=2, key=jax.random.key(0))
    >>> geojax.DataPrediction(network, schedule)(jnp.ones(3), 0.5).shape
    (3,)
    """

    weights: list[Float[Array, "a b"]]
    biases: list[Float[Array, " b"]]
    schedule: AbstractSchedule = eqx.field(static=True)

    def __init__(
        self,
        schedule: AbstractSchedule,
        dimension: int,
        *,
        width: int = 384,
        depth: int = 4,
        key: Key[Array, ""],
    ):
        for name, size in (("dimension", dimension), ("width", width), ("depth", depth)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}.")
        sizes = [dimension + 1, *[width] * depth, dimension]
        keys = jax.random.split(key, depth + 1)
        self.weights, self.biases = [], []
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            # The last layer is near zero, so that D starts as the best linear denoiser.
            bound = (0.01 if i == depth else 1.0) * math.sqrt(3 / a)
            self.weights.append(jax.random.uniform(keys[i], (a, b), _DTYPE, -bound, bound))
            self.biases.append(jnp.zeros(b, _DTYPE))
        self.schedule = schedule

    def __call__(
        self, x: Float[Array, " dimension"], t: Float[Array, ""], args: object = None
    ) -> Float[Array, " dimension"]:
        """The expected clean point for `x` at level `t`, shape `(dimension,)`."""
        sigma = self.schedule.sigma(t).astype(x.dtype)
        scale = jax.lax.rsqrt(sigma**2 + 1)
        h = jnp.concatenate([scale * x, (jnp.log(sigma) / 4)[None]])
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            y = matmul(h, weight.astype(x.dtype)) + bias.astype(x.dtype)
            if i == last:
                return scale**2 * x + sigma * scale * y
            h = jax.nn.silu(y) if i == 0 else h + jax.nn.silu(y)
        raise AssertionError("a network has at least one layer")
