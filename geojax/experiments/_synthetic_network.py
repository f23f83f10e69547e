"""A small trained score for points in R^D, to measure the effect of a network."""

import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from .._files import written_whole
from ..evaluation import AbstractManifold
from ..scores import VE, AbstractSchedule, AbstractScore, training_step

_SCHEDULE = VE(0.02, 2.0)  # the levels of training
_BATCH, _DATA = 256, 20_000
_SPREAD = 0.7  # approximate spread of the data in every coordinate


class MlpScore(AbstractScore):
    """A multilayer perceptron of a point and its noise level, trained as a denoiser.

    Inputs and outputs are scaled so that the perceptron has inputs and outputs of order one at all
    levels (Karras et al. 2022): `D(x) = c x + d F(x / e, log sigma)`, `s = (D - x) / sigma^2`.
    """

    network: eqx.nn.MLP
    schedule: AbstractSchedule

    def evaluate(self, x: Float[Array, " dim"], t, args) -> Float[Array, " dim"]:
        sigma = self.schedule.sigma(t).astype(x.dtype)
        total = jnp.sqrt(sigma**2 + _SPREAD**2)
        inputs = jnp.append(x / total, jnp.log(sigma) / 2)
        given = self.network(inputs.astype(self.network.layers[0].weight.dtype))
        # (D - x) / sigma^2 with the leading terms combined, so that nothing cancels.
        return (_SPREAD / (sigma * total)) * given.astype(x.dtype) - x / total**2


def untrained(dim: int, *, key: Key[Array, ""]) -> MlpScore:
    """The network before training, in the default floating type."""
    network = eqx.nn.MLP(dim + 1, dim, 128, 3, jax.nn.silu, key=key)
    return MlpScore(network=network, schedule=_SCHEDULE)


def train(manifold: AbstractManifold, num_steps: int, *, key: Key[Array, ""]) -> MlpScore:
    """A score trained by denoising score matching on the uniform law of a manifold.

    The same key gives the same score.
    """
    keys = jax.random.split(key, 3)
    data = manifold.sample(_DATA, key=keys[0])
    score = untrained(data.shape[1], key=keys[1])
    optimiser = optax.adam(optax.cosine_decay_schedule(2e-3, num_steps, 0.01))
    state = optimiser.init(eqx.filter(score, eqx.is_inexact_array))
    arrays, static = eqx.partition((score, state), eqx.is_array)

    def step(arrays, key):
        batch_key, noise_key = jax.random.split(key)
        score, state = eqx.combine(arrays, static)
        batch = data[jax.random.randint(batch_key, (_BATCH,), 0, _DATA)]
        score, state, loss = training_step(score, optimiser, state, batch, None, key=noise_key)
        return eqx.filter((score, state), eqx.is_array), loss

    step_keys = jax.random.split(keys[2], num_steps)
    arrays, losses = jax.jit(lambda arrays, keys: jax.lax.scan(step, arrays, keys))(
        arrays, step_keys
    )
    if not math.isfinite(float(jnp.mean(losses))):
        raise RuntimeError("training a score on a manifold diverged: its loss is not finite.")
    return eqx.combine(arrays, static)[0]


def kept(
    path: Path, manifold: AbstractManifold, num_steps: int, *, key: Key[Array, ""]
) -> MlpScore:
    """The trained score of `path`; if there is none, it is trained and written there."""
    if not path.is_file():
        score = train(manifold, num_steps, key=key)
        if not path.is_file():  # another process may have written it meanwhile
            with written_whole(path) as temporary:
                eqx.tree_serialise_leaves(temporary, score)
    like = eqx.filter_eval_shape(untrained, manifold.sample(1, key=key).shape[1], key=key)
    return eqx.tree_deserialise_leaves(path, like)
