"""ATen operations that act on each entry separately, in jax.numpy.

Each takes the arguments of the operation of that name. `Graph` casts the result to the dtype that
torch gave it. At a kink the derivative is that of torch.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array


def _clamp(x, low=None, high=None) -> Array:
    # A selection: at a bound the derivative of torch is 1, that of `jnp.clip` one half.
    if low is not None:
        x = jnp.where(x < low, low, x)
    if high is not None:
        x = jnp.where(x > high, high, x)
    return x


def _divide(a, b, *, rounding_mode=None) -> Array:
    if rounding_mode == "floor":
        return jnp.floor_divide(a, b)
    if rounding_mode == "trunc":
        return jnp.trunc(jnp.true_divide(a, b))
    return jnp.true_divide(a, b)


def _power(base, exponent) -> Array:
    if isinstance(exponent, float) and exponent.is_integer() and abs(exponent) < 64:
        exponent = int(exponent)  # integer powers have derivatives at zero and below
    if isinstance(exponent, int) and not jnp.issubdtype(jnp.result_type(base), jnp.integer):
        return jax.lax.integer_pow(jnp.asarray(base), exponent)
    return jnp.power(base, exponent)


def _elu(x, alpha=1.0, scale=1.0, input_scale=1.0) -> Array:
    below = jnp.minimum(x, 0) * input_scale
    return scale * jnp.where(x > 0, x, alpha * jnp.expm1(below))


def _softplus(x, beta=1.0, threshold=20.0) -> Array:
    return jnp.where(x * beta > threshold, x, jax.nn.softplus(x * beta) / beta)


def _gelu(x, *, approximate="none") -> Array:
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def _round(x, *, decimals=0) -> Array:
    return jnp.round(x, decimals)


def _threshold(x, threshold, value) -> Array:
    return jnp.where(x <= threshold, value, x)


def _nan_to_num(x, nan=None, posinf=None, neginf=None) -> Array:
    return jnp.nan_to_num(x, nan=nan or 0.0, posinf=posinf, neginf=neginf)


def _nothing(*_, **__) -> None:
    """An assertion about the inputs, which are fixed at the conversion."""


_UNARY: dict[str, Callable[..., Any]] = {
    "abs": jnp.abs,
    "acos": jnp.arccos,
    "acosh": jnp.arccosh,
    "asin": jnp.arcsin,
    "asinh": jnp.arcsinh,
    "atan": jnp.arctan,
    "atanh": jnp.arctanh,
    "bitwise_not": jnp.bitwise_not,
    "ceil": jnp.ceil,
    "cos": jnp.cos,
    "cosh": jnp.cosh,
    "deg2rad": jnp.deg2rad,
    "elu": _elu,
    "erf": jax.scipy.special.erf,
    "erfc": jax.scipy.special.erfc,
    "erfinv": jax.scipy.special.erfinv,
    "exp": jnp.exp,
    "exp2": jnp.exp2,
    "expm1": jnp.expm1,
    "floor": jnp.floor,
    "frac": lambda x: x - jnp.trunc(x),
    "gelu": _gelu,
    "hardsigmoid": lambda x: _clamp(x + 3, 0, 6) / 6,
    "hardswish": lambda x: x * _clamp(x + 3, 0, 6) / 6,
    "hardtanh": lambda x, low=-1.0, high=1.0: _clamp(x, low, high),
    "isfinite": jnp.isfinite,
    "isinf": jnp.isinf,
    "isnan": jnp.isnan,
    "leaky_relu": lambda x, slope=0.01: jnp.where(x > 0, x, slope * x),
    "log": jnp.log,
    "log10": jnp.log10,
    "log1p": jnp.log1p,
    "log2": jnp.log2,
    "logical_not": jnp.logical_not,
    "logit": lambda x, eps=None: jax.scipy.special.logit(
        x if eps is None else _clamp(x, eps, 1 - eps)
    ),
    "mish": lambda x: x * jnp.tanh(jax.nn.softplus(x)),
    "nan_to_num": _nan_to_num,
    "neg": jnp.negative,
    "reciprocal": lambda x: 1 / x,
    "relu": jax.nn.relu,
    "round": _round,
    "rsqrt": jax.lax.rsqrt,
    "sigmoid": jax.nn.sigmoid,
    "sign": jnp.sign,
    "silu": jax.nn.silu,
    "sin": jnp.sin,
    "sinh": jnp.sinh,
    "softplus": _softplus,
    "sqrt": jnp.sqrt,
    "square": jnp.square,
    "tan": jnp.tan,
    "tanh": jnp.tanh,
    "threshold": _threshold,
    "trunc": jnp.trunc,
}

# `name.Tensor` has a tensor on the right, `name.Scalar` a number.
_BINARY: dict[str, Callable[..., Any]] = {
    "add": lambda a, b, *, alpha=1: jnp.add(a, b if alpha == 1 else alpha * b),
    "sub": lambda a, b, *, alpha=1: jnp.subtract(a, b if alpha == 1 else alpha * b),
    "rsub": lambda a, b, *, alpha=1: jnp.subtract(b, a if alpha == 1 else alpha * a),
    "mul": jnp.multiply,
    "div": _divide,
    "floor_divide": jnp.floor_divide,
    "fmod": jnp.fmod,
    "remainder": jnp.remainder,
    "eq": jnp.equal,
    "ne": jnp.not_equal,
    "lt": jnp.less,
    "le": jnp.less_equal,
    "gt": jnp.greater,
    "ge": jnp.greater_equal,
    "bitwise_and": jnp.bitwise_and,
    "bitwise_or": jnp.bitwise_or,
    "bitwise_xor": jnp.bitwise_xor,
}

_OTHERS: dict[str, Callable[..., Any]] = {
    "addcmul.default": lambda x, a, b, *, value=1: x + value * a * b,
    "addcdiv.default": lambda x, a, b, *, value=1: x + value * a / b,
    "atan2.default": jnp.arctan2,
    "clamp.default": _clamp,
    "clamp.Tensor": _clamp,
    "clamp_min.default": lambda x, low: _clamp(x, low=low),
    "clamp_max.default": lambda x, high: _clamp(x, high=high),
    "div.Tensor_mode": _divide,
    "div.Scalar_mode": _divide,
    "hypot.default": jnp.hypot,
    "lerp.Scalar": lambda a, b, weight: a + weight * (b - a),
    "lerp.Tensor": lambda a, b, weight: a + weight * (b - a),
    "logaddexp.default": jnp.logaddexp,
    "logical_and.default": jnp.logical_and,
    "logical_or.default": jnp.logical_or,
    "logical_xor.default": jnp.logical_xor,
    "maximum.default": jnp.maximum,
    "minimum.default": jnp.minimum,
    "pow.Tensor_Tensor": jnp.power,
    "pow.Tensor_Scalar": _power,
    "pow.Scalar": lambda base, exponent: (
        jnp.exp(exponent * math.log(base)) if base > 0 else jnp.power(base, exponent)
    ),
    "round.decimals": _round,
    "special_erf.default": jax.scipy.special.erf,
    "where.self": jnp.where,
    "where.ScalarSelf": jnp.where,
    "where.ScalarOther": jnp.where,
    "where.Scalar": jnp.where,
    "xlogy.Tensor": jax.scipy.special.xlogy,
    # Operations without arithmetic. Autograd stops at a detached tensor, and so does JAX here.
    "detach.default": jax.lax.stop_gradient,
    "alias.default": lambda x: x,
    "clone.default": lambda x, **_: x,
    "contiguous.default": lambda x, **_: x,
    "lift_fresh_copy.default": lambda x: x,
    "_to_copy.default": lambda x, **_: x,  # the cast to the recorded dtype follows
    "to.dtype": lambda x, *_, **__: x,
    "copy.default": lambda x, source, *_: jnp.broadcast_to(source, x.shape),
    "_assert_tensor_metadata.default": _nothing,
    "_assert_async.msg": _nothing,
    "_assert_scalar.default": _nothing,
}

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{f"{name}.default": function for name, function in _UNARY.items()},
    **{f"{name}.{kind}": f for name, f in _BINARY.items() for kind in ("Tensor", "Scalar")},
    **_OTHERS,
}
