"""Training steps: many in one compiled program, with a moving average and optional 16 bits."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

_Module = TypeVar("_Module", bound=PyTree)
# Steps of a network with convolutions in one call. On a CPU XLA's are many times slower within a
# loop. Elsewhere a call must be long enough to hide the work of the host.
_CPU, _ACCELERATOR = 1, 50
_DTYPES = ("float32", "bfloat16")  # float16 would need a scaled loss


class TrainingState(NamedTuple):
    """The state that training resumes from."""

    score: PyTree
    average: PyTree
    optimiser: PyTree
    step: Array


def steps_per_call() -> int:
    """The number of steps in one call of `run_steps`, on JAX's default device."""
    return _CPU if jax.default_backend() == "cpu" else _ACCELERATOR


def check_dtype(settings: dict[str, Any]) -> None:
    """`ValueError` when the training settings have an unknown dtype."""
    dtype = settings.get("dtype", "float32")
    if dtype not in _DTYPES:
        known = " or ".join(map(repr, _DTYPES))
        raise ValueError(f"the config's training.dtype must be {known}, got {dtype!r}.")


def constants(settings: dict[str, Any], *names: str) -> tuple[tuple[str, Any], ...]:
    """The named settings that exist, hashable, as constants of a compiled step."""
    return tuple((name, settings[name]) for name in names if name in settings)


def first_state(module: PyTree, optimiser: optax.GradientTransformation) -> TrainingState:
    """The state before the first step."""
    floats = eqx.filter(module, eqx.is_inexact_array)
    return TrainingState(module, module, optimiser.init(floats), jnp.asarray(0))


def in_dtype(module: _Module, dtype: Any) -> _Module:
    """The module with its floating-point arrays in another dtype, for a forward pass.

    Its derivatives have the dtype of the module itself.
    """

    def cast(leaf):
        return leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf

    return jax.tree.map(cast, module)


@eqx.filter_jit
def run_steps(
    state: TrainingState,
    loss: Callable[[PyTree, Array, Key[Array, ""]], Array],
    rows: Array,
    optimiser: optax.GradientTransformation,
    root: Key[Array, ""],
    ema_decay: float,
) -> tuple[TrainingState, Float[Array, " steps"]]:
    """Take one training step for each of the `rows`; the new state, and the losses.

    Step k minimises `loss(module, row, fold_in(root, k))`. The loss may contain arrays, as in a
    `jax.tree_util.Partial`. The moving average has a shorter memory in the first steps.
    """
    dynamic, static = eqx.partition(state, eqx.is_array)

    def step(dynamic, row):
        state = eqx.combine(dynamic, static)
        key = jax.random.fold_in(root, state.step)
        value, grads = eqx.filter_value_and_grad(loss)(state.score, row, key)
        floats = eqx.filter(state.score, eqx.is_inexact_array)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies its integer step by floats
            updates, opt_state = optimiser.update(grads, state.optimiser, floats)
        module = eqx.apply_updates(state.score, updates)
        taken = (state.step + 1).astype(jnp.float32)
        decay = jnp.minimum(ema_decay, (1 + taken) / (10 + taken))

        def mix(a, b):
            if not eqx.is_inexact_array(a):
                return a
            share = decay.astype(a.dtype)
            return share * a + (1 - share) * b

        average = jax.tree.map(mix, state.average, module)
        new = TrainingState(module, average, opt_state, state.step + 1)
        return eqx.filter(new, eqx.is_array), value

    dynamic, values = jax.lax.scan(step, dynamic, rows)
    return eqx.combine(dynamic, static), values
