"""Images that a model draws."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from ..scores import ClassifierFreeGuidance, sample
from . import _defaults as defaults


def draw(score, shape, labels: Sequence[int | None], guidance: float, seed: int):
    """Draw an image of each class, in the order of `labels`; None for a model without classes."""
    guided = ClassifierFreeGuidance(score, guidance)  # pyright: ignore[reportCallIssue]
    root = jax.random.key(seed)
    keys = jnp.stack([jax.random.fold_in(root, i + 1) for i in range(len(labels))])
    numbers = None if None in labels else jnp.asarray(labels)

    @eqx.filter_jit
    def drawn(guided, keys, numbers):
        def one(key, label):
            model = guided.score if label is None else guided
            return sample(model, shape, key=key, args=label, num_steps=defaults.DRAW_STEPS)

        return jax.vmap(one)(keys, numbers)

    return drawn(guided, keys, numbers)
