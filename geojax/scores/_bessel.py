"""Modified Bessel functions of the first kind, for the densities of spheres.

Both functions take ``w = z^2``, in which they are analytic, so that nothing is singular at
z = 0, and any real order of at least -1/2, as a Python number. The order is raised to ``_START``
or more, where the uniform expansion in ``1 / sqrt(mu^2 + z^2)`` holds for every z, and brought
down by the backward recurrence, a sum of positive terms: values and derivatives keep their
digits for tiny and huge z, in float32 as in float64.
"""

import functools

import jax.numpy as jnp
from jaxtyping import Array, Float
from numpy.polynomial import Polynomial

_START = 20.0
_TERMS = 12


@functools.cache
def _expansion() -> list[Polynomial]:
    """Polynomials P_k with ``z I'_mu(z) / I_mu(z) = q sum_k P_k(mu^2 / q^2) / q^k``.

    Here ``q^2 = mu^2 + z^2``. They follow from the Riccati equation ``z F' + F^2 = q^2`` of
    ``F = z I' / I``, power by power.
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
    """Polynomials Q_k, k >= 2, with ``z d/dz [q^(1-k) Q_k] = q^(1-k) P_k``."""
    integrals = []
    for k, term in list(enumerate(_expansion()))[2:]:
        # P_k has the factor 1 - x, because F = mu at z = 0 for every mu.
        quotient = term // Polynomial([1.0, -1.0])
        integrals.append(Polynomial([c / (1 - k - 2 * j) for j, c in enumerate(quotient.coef)]))
    return integrals


def _polynomial(coefficients, x):
    total = jnp.zeros_like(x)
    for c in reversed(coefficients):
        total = total * x + float(c)
    return total


def _raised(order: float) -> tuple[int, float]:
    steps = max(1, round(_START - order))
    return steps, order + steps


def _ratios(order: float, w: Array) -> list[Array]:
    """``I_{m+1}(z) / (z I_m(z))`` for m from the raised order minus one down to ``order``."""
    steps, mu = _raised(order)
    q = jnp.sqrt(mu**2 + w)
    x = mu**2 / q**2
    series = jnp.zeros_like(w)
    for term in reversed(_expansion()):
        series = series / q + _polynomial(term.coef, x)
    ratios = [1 / (mu + q * series)]
    for j in range(1, steps):
        ratios.append(1 / (2 * (mu - j) + w * ratios[-1]))
    return ratios


def bessel_ratio(order: float, w: Float[Array, ""]) -> Float[Array, ""]:
    """``I_{order+1}(z) / (z I_order(z))`` at ``w = z^2``; 1 / (2 order + 2) at zero."""
    return _ratios(order, w)[-1]


def log_scaled_bessel(order: float, z: Float[Array, ""]) -> Float[Array, ""]:
    """``log[Gamma(order+1) (2/z)^order I_order(z) exp(-z)]`` for ``z >= 0``; zero at zero."""
    _, mu = _raised(order)
    w = z**2
    q = jnp.sqrt(mu**2 + w)
    # q - mu - z, without the cancellation.
    total = mu**2 / (q + z) - mu - mu * jnp.log((mu + q) / (2 * mu)) - jnp.log(q / mu) / 2
    x = mu**2 / q**2
    for k, term in enumerate(_integrated_expansion(), start=2):
        total = total + q ** (1 - k) * _polynomial(term.coef, x) - mu ** (1 - k) * float(term(1.0))
    for j, ratio in enumerate(_ratios(order, w)):
        total = total - jnp.log(2 * (mu - j) * ratio)
    return total
