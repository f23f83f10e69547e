"""The pullback metric of a decoder on its latent space."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from .._functions import as_array, as_pytree, check_function
from .._numbers import scalar
from ._pullback import AbstractPullbackMetric


class PullbackMetric(AbstractPullbackMetric):
    """The metric `g(x) = J^T J + eps I`, with J the Jacobian of a decoder `(x, args) -> y`.

    Use it in the latent space of an autoencoder: the length of a path there is the length of its
    image. The images of its ends give the length of a segment, so path energies take only forward
    evaluations, one per node. `flat` costs one JVP and one VJP of the decoder; `sharp` and
    `acceleration` solve with such products by conjugate gradients.

    **Arguments:**

    - `decoder`: a callable `(x, args) -> y`, where y is one array of any shape. Unless `eps` is
      positive, y must be at least as large as `x` and J of full rank; elsewhere `sharp` and
      `acceleration` are NaN. y is cast to the dtype of `x`.
    - `eps`: a scalar >= 0.

    **Raises:**

    - `ValueError`: when `eps` is out of range or not a scalar, `decoder` is not a callable of two
      arguments, or it does not return one array.

    Source: Arvanitidis, Hansen & Hauberg, ICLR 2018.

    >>> import jax.numpy as jnp, geojax
    >>> cylinder = lambda x, args: jnp.stack([jnp.cos(x[0]), jnp.sin(x[0]), 2 * x[1]])
    >>> metric = geojax.PullbackMetric(cylinder)
    >>> print(metric.flat(jnp.zeros(2), jnp.array([1.0, 1.0])))
    [1. 4.]
    """

    decoder: Callable[..., Any]
    eps: Float[Array, ""]

    def __init__(self, decoder: Any, eps: Any = 0.0):
        check_function("decoder", decoder, "(x, args) -> y")
        self.decoder = as_pytree(decoder)
        self.eps = scalar("eps", eps)

    def parts(self):
        def image(x, args):
            return as_array("decoder", self.decoder(x, args), "one array", x.dtype)

        return self.eps, jnp.ones_like(self.eps), image
