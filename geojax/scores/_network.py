"""Users' networks: the batch axis, and one sentence of help where a call fails."""

import inspect
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._functions import as_array, as_output, as_pytree, check_function


class OnePoint(eqx.Module):
    """A network of batches as a network of single points, as `from_batched` returns it."""

    network: Callable[..., Any] = eqx.field(converter=as_pytree)
    channels_last: bool = eqx.field(static=True)
    batched_time: bool = eqx.field(static=True)
    takes_args: bool = eqx.field(static=True)

    def __call__(self, x: Float[Array, "*shape"], t: Float[Array, ""], args: Any = None) -> Array:
        if self.channels_last:
            if x.ndim < 2:
                raise ValueError(
                    f"channels_last needs a point (channels, ...), got shape {x.shape}. Pass "
                    "channels_last=False."
                )
            x = jnp.moveaxis(x, 0, -1)
        rest = (jax.tree.map(_batch_of_one, args),) if self.takes_args else ()
        y = self.network(x[None], t[None] if self.batched_time else t, *rest)
        y = as_array("network", y, f"an array of shape {(1, *x.shape)}", None)
        if y.shape[:1] != (1,):
            raise ValueError(f"network must return a batch of one, as x is, got shape {y.shape}.")
        return jnp.moveaxis(y[0], -1, 0) if self.channels_last else y[0]


def from_batched(
    network: Callable[..., Any], *, channels_last: bool = False, batched_time: bool = True
) -> OnePoint:
    """Adapt a network that takes batches to take a single point.

    Scores are of one point, and `jax.vmap` makes batches. Most networks of Flax, and all of torch,
    take a batch. This adds the batch axis to the point, the time and the arrays of `args`, and
    removes it from the prediction.

    **Arguments:**

    - `network`: called as `network(x, t, args)`, or as `network(x, t)` where it has two parameters,
      with `x` of shape `(1, *shape)`. An `equinox.Module` or a `flax.nnx.Module` (in evaluation
      mode: `network.eval()`) keeps its parameters visible to transformations.
    - `channels_last`: the network takes (1, height, width, channels), as those of Flax do, where
      points are (channels, height, width).
    - `batched_time`: `t` has shape (1,); else it is a scalar.

    **Returns:**

    A callable `(x, t, args) -> prediction` for [`geojax.NoisePrediction`][],
    [`geojax.FlowPrediction`][] and the others.

    **Raises:**

    - `ValueError`: when `network` cannot be called so.

    >>> import jax, jax.numpy as jnp, geojax
    >>> def network(x, t):  # x: (batch, 2), t: (batch,)
    ...     return x * t[:, None]
    >>> score = geojax.NoisePrediction(geojax.from_batched(network), geojax.VE(0.5, 2.0))
    >>> jax.vmap(score.at(0.5))(jnp.ones((3, 2))).shape
    (3, 2)
    """
    takes_args = _positional(network) != 2
    signature = "(x, t, args) -> prediction" if takes_args else "(x, t) -> prediction"
    check_function("network", network, signature)
    return OnePoint(network, channels_last, batched_time, takes_args)


def predicted(
    network: Callable[..., Any], x: Float[Array, "*shape"], t: Float[Array, ""], args: Any
) -> Float[Array, "*shape"]:
    """The prediction of `network` at one point, in the dtype of `x`.

    Raise a `ValueError` when it does not return an array of the shape of `x`. If it fails where
    another way to call it works, the message says which.
    """
    try:
        value = network(x, t, args)
    except Exception as error:
        explanation = _explained(network, x, t, args, error)
        if explanation is None:
            raise
        raise ValueError(explanation) from error
    try:
        return as_output("network", value, x)
    except ValueError as error:
        explanation = _another_way(network, x, t, args)
        if explanation is None:
            raise
        raise ValueError(f"{error} Perhaps {explanation}") from error


def _explained(network, x, t, args, error) -> str | None:
    if type(error).__name__ == "TraceContextError":  # of flax.nnx
        return (
            "network changes its own state when it is called, as dropout and batch statistics do "
            "in training mode: call network.eval() before you wrap it."
        )
    if _outcome(network, x, t, args)[0] is not None:  # the call itself is right
        return None
    explanation = _another_way(network, x, t, args)
    return explanation and f"{explanation} ({type(error).__name__}: {str(error).splitlines()[0]})"


def _another_way(network, x, t, args) -> str | None:
    """The advice for the first way of calling `network` that gives an array like `x`."""
    for name, way in _WAYS.items():
        shape, failure = _outcome(way(network), x, t, args)
        if name and shape == x.shape:
            return _sentence(name, [], "network")
        for word, cast, given in _CASTS:
            if word not in failure:
                continue
            shape, _ = _outcome(way(_cast(network, cast)), x, t, args)
            if shape == x.shape:
                cause = _STEPS if cast is int else f"computes in {jnp.dtype(cast).name}"
                return _sentence(name, [cause], f"lambda x, t, args: network({given}, args)")
    return None


def _sentence(way, causes, call) -> str:
    if way == _SWAPPED:
        return "network takes its arguments in another order, (t, x, args): " + (
            "pass lambda x, t, args: network(t, x, args)."
        )
    causes = ["takes batches, and was given one point"] * bool(way) + causes
    call = f"geojax.from_batched({call}{way.removeprefix(_BATCHED)})" if way else call
    return f"network {' and '.join(causes)}: pass {call}."


def _cast(network, kind):
    """`network` with the time as a step, where `kind` is int; else with both in that dtype."""

    def call(x, t, *args):
        if kind is int:
            return network(x, jnp.zeros(t.shape, int), *args)
        return network(x.astype(kind), t.astype(kind), *args)

    return call


def _of_batches(channels_last, batched_time):
    return lambda network: OnePoint(network, channels_last, batched_time, takes_args=True)


_STEPS = "takes the number of a step (of T steps, numbered from 1, t is k / T)"
_SWAPPED, _BATCHED = "swapped", "batched"
_WAYS = {
    "": lambda network: network,
    _SWAPPED: lambda network: lambda x, t, args: network(t, x, args),
    _BATCHED: _of_batches(False, True),
    f"{_BATCHED}, batched_time=False": _of_batches(False, False),
    f"{_BATCHED}, channels_last=True": _of_batches(True, True),
    f"{_BATCHED}, channels_last=True, batched_time=False": _of_batches(True, False),
}
# A word in the message of a failure, the dtype that is probably needed, and the call for it.
_CASTS = [
    ("dtype", kind, ", ".join(f"{a}.astype(jnp.{jnp.dtype(kind).name})" for a in "xt"))
    for kind in (jnp.bfloat16, jnp.float16, jnp.float32)
] + [("integer", int, "x, jnp.round(T * t).astype(int)")]


def _outcome(network, x, t, args) -> tuple[tuple[int, ...] | None, str]:
    """The shape of the prediction of `network`, or None and the message of the failure."""
    points = (jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (x, t))
    try:
        return jax.eval_shape(lambda x, t: jnp.asarray(network(x, t, args)), *points).shape, ""
    except Exception as error:
        return None, str(error)


def _batch_of_one(leaf: Any) -> Any:
    return leaf[None] if eqx.is_array_like(leaf) and hasattr(leaf, "shape") else leaf


def _positional(function: Any) -> int | None:
    """The number of positional parameters; None where that cannot be read."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.kind in kinds for p in parameters)
