"""Modified Bessel functions of the first kind, for the densities of spheres.

The ratio is evaluated at `w = z^2`, in which it is analytic, so that nothing is singular at z = 0.
The order may be any Python number of at least -1/2. It is first raised to `_START` or more, where
the uniform expansion in `1 / sqrt(mu^2 + z^2)` holds for every z. The backward recurrence, a sum of
positive terms, then lowers it to the order. So values and derivatives keep their digits for tiny
and huge z, in float32 as in float64.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from numpy.polynomial import Polynomial

_START = 16.0
_TERMS = 12


@functools.cache
def _expansion() -> list[Polynomial]:
    """Polynomials P_k with `z I'_mu(z) / I_mu(z) = q sum_k P_k(mu^2 / q^2) / q^k`.

    Here `q^2 = mu^2 + z^2`. They follow from the Riccati equation `z F' + F^2 = q^2` of
    `F = z I' / I`, power by power.
    """
    x = Polynomial([0.0, 1.0])
    terms = [Polynomial([1.0])]
    for k in range(1, _TERMS):
        last = terms[-1]
        slope = (1 - x) * ((2 - k) * last - 2 * x * last.deriv())
        products = sum((terms[i] * terms[k - i] for i in range(1, k)), Polynomial([0.0]))
        terms.append(-0.5 * (slope + products))
    return terms


@functools.cache
def _integrated_expansion() -> list[Polynomial]:
    """Polynomials Q_k with `z d/dz [q^(1-k) Q_k] = q^(1-k) P_k` for k >= 2, zero below."""
    integrals = [Polynomial([0.0]), Polynomial([0.0])]
    for k, term in list(enumerate(_expansion()))[2:]:
        # P_k has the factor 1 - x, because F = mu at z = 0 for every mu.
        quotient = term // Polynomial([1.0, -1.0])
        integrals.append(Polynomial([c / (1 - k - 2 * j) for j, c in enumerate(quotient.coef)]))
    return integrals


def _series(terms: list[Polynomial], q: Array, x: Array) -> Array:
    """`sum_k terms_k(x) / q^k`."""
    total = jnp.zeros_like(q)
    for term in reversed(terms):
        value = jnp.zeros_like(x)
        for coefficient in reversed(term.coef.tolist()):
            value = value * x + coefficient
        total = total / q + value
    return total


def _raised(order: float) -> tuple[int, float]:
    """The number of orders to go up, and the order reached."""
    steps = max(1, round(_START - order))
    return steps, order + steps


def _ratios(order: float, w: Array) -> tuple[Array, Array, Array]:
    """The ratios `h_m = I_{m+1}(z) / (z I_m(z))` along the recurrence.

    Returns the first, at the raised order minus one; the last, at `order`; and those after the
    first, in descending order.
    """
    steps, mu = _raised(order)
    q = jnp.sqrt(mu**2 + w)
    first = 1 / (mu + q * _series(_expansion(), q, (mu / q) ** 2))

    def step(ratio, m):
        ratio = 1 / (2 * m + w * ratio)
        return ratio, ratio

    last, rest = jax.lax.scan(step, first, mu - jnp.arange(1, steps, dtype=w.dtype))
    return first, last, rest


def bessel_ratio(order: float, w: Float[Array, ""]) -> Float[Array, ""]:
    """`I_{order+1}(z) / (z I_order(z))` at `w = z^2`; 1 / (2 order + 2) at zero."""
    _, last, _ = _ratios(order, w)
    return last


def log_scaled_bessel(order: float, z: Float[Array, ""]) -> Float[Array, ""]:
    """`log[Gamma(order+1) (2/z)^order I_order(z) exp(-z)]` for `z >= 0`; zero at zero."""
    steps, mu = _raised(order)
    q = jnp.sqrt(mu**2 + z**2)
    # q - mu - z, without the cancellation.
    total = mu**2 / (q + z) - mu - mu * jnp.log((mu + q) / (2 * mu)) - jnp.log(q / mu) / 2
    terms = _integrated_expansion()
    total = total + q * _series(terms, q, (mu / q) ** 2)
    total = total - sum(mu ** (1 - k) * float(term(1.0)) for k, term in enumerate(terms))
    # Down to the order: each step divides by 2 m h_{m-1}, which is 1 at z = 0.
    first, _, rest = _ratios(order, z**2)
    orders = mu - jnp.arange(1, steps, dtype=z.dtype)
    return total - jnp.log(2 * mu * first) - jnp.sum(jnp.log(2 * orders * rest))
