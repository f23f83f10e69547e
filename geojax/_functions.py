"""Functions that a user passes: scores, networks, log-densities, decoders.

The number of arguments is read from the signature. The result is checked at each call, while a
program is traced: at no cost when it runs and without tracing the function twice.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_TIMES = ("t", "time", "timestep", "timesteps", "sigma")
_AT_ONE_LEVEL = (
    "For a score that depends on time pass score.at(t); for any other function f(x, t, args) "
    "pass lambda x, args: f(x, t, args)."
)


def check_function(name: str, function: Any, signature: str, remedy: str = "") -> None:
    """Raise a `ValueError` unless `function` accepts `signature`, such as "(x, args) -> s".

    The message names it, its parameters and the remedy. A function whose parameters cannot be read
    is accepted.
    """
    wanted = [part.strip() for part in signature.partition(")")[0].strip("(").split(",")]
    given = type(function).__name__
    if not callable(function):
        message = f"{name} must be a callable {signature}, got {given}."
        raise ValueError(f"{message} {remedy}".rstrip())
    if inspect.isclass(function):
        raise ValueError(
            f"{name} must be a callable {signature}, got the class {function.__name__}. Pass an "
            f"instance of it: {function.__name__}(...)."
        )
    try:
        parameters = inspect.signature(function)
    except (TypeError, ValueError):
        return
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    listed = list(parameters.parameters.values())
    positional = [p.name for p in listed if p.kind in kinds]
    required = [p for p in listed if p.kind in kinds and p.default is p.empty]
    keywords = [p.name for p in listed if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    swapped = wanted[:2] == ["x", "t"] and positional[:1] and positional[0] in _TIMES
    if swapped and not (len(positional) > 1 and positional[1] in _TIMES):
        inner = ", ".join(["t", "x", "args"][: len(positional)])
        raise ValueError(
            f"{name} must be a callable {signature}, the point first, got one with the parameters "
            f"({', '.join(p.name for p in listed)}). Pass lambda x, t, args: f({inner})."
        )
    timed = "t" not in wanted and len(positional) > len(wanted)
    timed = timed and (positional[1] in _TIMES or len(required) == len(wanted) + 1)
    try:
        parameters.bind(*wanted)
    except TypeError:
        fits = False
    else:
        fits = not timed
    if fits:
        return
    if timed:
        remedy = _AT_ONE_LEVEL
    elif len(positional) + len(keywords) > len(wanted):
        remedy = f"Bind the others: lambda {', '.join(wanted)}: f({', '.join(wanted)}, ...)."
    else:
        inner = ", ".join([*positional, *(f"{k}={k}" for k in keywords)])
        remedy = f"Wrap a function f({inner}) as lambda {', '.join(wanted)}: f({inner})."
    names = ", ".join(p.name for p in listed)
    raise ValueError(
        f"{name} must be a callable {signature}, got one with the parameters ({names}). {remedy}"
    )


def as_pytree(function: Any) -> Any:
    """`function` as a pytree, so that a module with it can be an argument of `jax.jit`.

    A plain function has no leaves: values that it closes over are constant. A method of a module
    has the leaves of its module. Modules, and scores that have a log-density, are returned
    unchanged.
    """
    if inspect.isclass(function) or not callable(function) or hasattr(function, "log_density"):
        return function
    if not jax.tree_util.all_leaves([function]):
        return function
    if inspect.ismethod(function) and not jax.tree_util.all_leaves([function.__self__]):
        return jax.tree_util.Partial(function.__func__, function.__self__)
    return jax.tree_util.Partial(function)


def as_output(name: str, value: Any, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The result of `name` at `x`, in the dtype of `x`; it must have the shape of `x`.

    Raise a `ValueError` with the actual result and the remedy.
    """
    array = as_array(name, value, f"an array of the shape of x, {x.shape}", x.dtype)
    if array.shape == x.shape:
        return array
    if array.shape == (1, *x.shape):
        remedy = "x is one point without a batch axis: for a batched f pass f(x[None], ...)[0]."
    elif array.shape == ():
        remedy = "The score of a log-density f is geojax.from_log_density(f)."
    elif array.size == x.size:
        remedy = "Reshape its result: .reshape(x.shape)."
    else:
        remedy = "It is called with one point; batches are for jax.vmap."
    raise ValueError(
        f"{name} must return an array of the shape of x, {x.shape}, got shape {array.shape} "
        f"({array.dtype}). {remedy}"
    )


def as_scalar_output(name: str, value: Any, x: Float[Array, "*shape"]) -> Float[Array, ""]:
    """The result of `name` at `x`, in the dtype of `x`; it must be a scalar.

    Raise a `ValueError` with the actual result and the remedy.
    """
    array = as_array(name, value, "a scalar", x.dtype)
    if array.shape:
        remedy = "Take jnp.squeeze" if array.size == 1 else "Sum the terms: jnp.sum"
        raise ValueError(
            f"{name} must return a scalar at one point, got shape {array.shape} ({array.dtype}). "
            f"{remedy} of its result."
        )
    return array


def as_array(name: str, value: Any, wanted: str, dtype: Any) -> Array:
    """The result of `name` as an array of `dtype` (None: its own), of any shape.

    Raise a `ValueError` when it is no array of real numbers; `wanted` describes the expected
    result.
    """
    if not isinstance(value, jax.Array | np.ndarray | np.generic | int | float | complex):
        raise ValueError(f"{name} must return {wanted}, got {_described(value)}")
    array = jnp.asarray(value)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ValueError(
            f"{name} must return {wanted}, of real numbers, got {array.dtype}. Take its real part."
        )
    if not jnp.issubdtype(array.dtype, jnp.number):
        raise ValueError(f"{name} must return {wanted}, of numbers, got {array.dtype}.")
    return array if dtype is None else array.astype(dtype)


def _described(value: Any) -> str:
    if value is None:
        return "None. Does it end with a return?"
    kind = type(value).__name__
    if isinstance(value, tuple | list):
        return f"a {kind} of {len(value)}. Return one array: an entry of it, or jnp.stack."
    return f"{kind}. Return the array that it holds."


class MissingDerivative(ValueError):
    """A derivative is needed of a function that has none."""

    def __init__(self, cause: str, remedy: str):
        super().__init__(f"{cause} {remedy}")
        self.cause = cause


# For functions that need the derivative of a score or a decoder.
NEEDED = (
    "Give it one by jax.custom_jvp, which serves both modes (a diffrax solve: "
    "adjoint=diffrax.DirectAdjoint()). Paths between two points do not need it: see the message of "
    "geodesic."
)


@contextlib.contextmanager
def explained_derivatives(remedy: str = NEEDED) -> Iterator[None]:
    """Turn JAX's refusals to differentiate a user's function into a `ValueError`.

    They occur while a program is traced or lowered. `remedy` is a sentence or two; of several the
    outermost one is reported. Also a decorator.
    """
    try:
        yield
    except (NotImplementedError, TypeError, ValueError) as error:
        known = isinstance(error, MissingDerivative)
        cause = error.cause if known else _missing_derivative(str(error))
        if cause is None:
            raise
        raise MissingDerivative(cause, remedy) from (error.__cause__ if known else error)


def _missing_derivative(message: str) -> str | None:
    if "custom_vjp" in message or "custom_lin" in message:
        return (
            "A forward-mode derivative (JVP) is needed of a function without one: it contains a "
            "jax.custom_vjp."
        )
    if "Reverse-mode differentiation does not work" in message:
        return (
            "A reverse-mode derivative (VJP) is needed of a function without one: it contains a "
            "jax.lax.while_loop."
        )
    if "allbacks do not support JVP" in message or "cannot be differentiated" in message:
        return (
            "A derivative is needed of a function without one: it contains a callback or a foreign "
            "call."
        )
    return None


class CheckedScore(eqx.Module):
    """A score `(x, args) -> s` with checks of every call, and of its `log_density`, if any."""

    score: Any

    def __call__(self, x: Float[Array, "*shape"], args: Any = None) -> Float[Array, "*shape"]:
        with explained_derivatives():
            value = self.score(x, args)
        return as_output("score", value, x)

    @property
    def log_density(self) -> Callable[..., Float[Array, ""]]:
        """The checked log-density; `hasattr` is False if the score has none."""
        function = self.score.log_density
        return lambda x, args=None: as_scalar_output("log_density", function(x, args), x)


def checked(score: Any) -> CheckedScore:
    """`score` with its calls checked."""
    return score if isinstance(score, CheckedScore) else CheckedScore(score)
