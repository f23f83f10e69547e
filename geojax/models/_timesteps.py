"""The timesteps 0 ... T - 1 of other libraries, from t in [0, 1]."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real


def as_timestep(t: Real[ArrayLike, ""], num_steps: int) -> Float[Array, ""]:
    """The timestep `t T - 1`, at least 0: step k = 1 ... T is at t = k / T.

    >>> float(as_timestep(0.401, 1000))
    400.0
    """
    timestep = jnp.asarray(t, jnp.result_type(float)) * num_steps - 1
    # In float32 t T is only nearly an integer, and the time embedding of a network is steep.
    whole = jnp.round(timestep)
    return jnp.maximum(jnp.where(jnp.abs(timestep - whole) < 1e-3, whole, timestep), 0)
