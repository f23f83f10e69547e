"""The energy of a path to second order, for metrics ``base I + sum lam s s^T``.

With the rows dh_i/dx stacked into A, D the differences of neighbouring nodes, P their sums, W the
diagonal of 1/tau_i (tau_i the parameter of segment i) and b the metric's base,

    energy = (b sum tau_i^-1 |Delta_i|^2 + sum c_i h_i^2) / 2                       c = lam / tau
    gradient = b D^T W Delta + A^T C h     H_GN = b L + A^T C A   L = D^T W D,  A = S D + R P

where S and R are the difference and sum parts of dh. The weights C stand outside, so that all three
have derivatives by lam at 0. ``(b (1 + mu) L + A^T C A) d = r`` is solved by Woodbury with an M x M
matrix, M the number of rows; there the rows are multiplied by C^1/2. L^-1 stands only between D,
P and their transposes, where it is a running sum, and ``A L^-1 A^T`` comes from three Gram matrices
of vectors in R^D: O(M^2 D + M^3) time, O(M D) memory, nothing of size D^2. The blocks of A nearly
cancel between neighbours; keeping S and R apart, with ``D L^-1 D^T = diag(tau) - tau tau^T``
exactly, keeps the digits in float32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._linalg import einsum, matmul
from ..metrics import AbstractLowRankMetric
from ._problem import TwoPointProblem


class PathModel(NamedTuple):
    """The quadratic model at a path; segments and scores share one axis of M = K N rows."""

    taus: Float[Array, " n"]
    deltas: Float[Array, "n d"]
    weights: Float[Array, " m"]
    h: Float[Array, " m"]
    differences: Float[Array, "m d"]
    sums: Float[Array, "m d"]
    base: Float[Array, ""]
    energy: Float[Array, ""]

    @property
    def defined(self):
        """Whether the energy and its derivatives are finite."""
        derivatives = jnp.isfinite(self.differences) & jnp.isfinite(self.sums)
        return jnp.isfinite(self.energy) & jnp.all(derivatives)


def linearise(problem: TwoPointProblem, xs) -> PathModel:
    """The model at ``xs``: the scores and their derivatives, once."""
    assert isinstance(problem.metric, AbstractLowRankMetric)
    terms = problem.metric.terms()
    n = len(xs) - 1
    taus = problem.taus(xs)
    deltas = (xs[1:] - xs[:-1]).reshape(n, -1)

    def rows(weight, score, _):
        lin = problem.rule.linearise(score, xs, problem.args)
        return weight.astype(xs.dtype) / taus, *(part.reshape(n, -1) for part in lin)

    parts = terms.each(rows)
    if parts is None:
        none = jnp.zeros(0, xs.dtype)
        weights, h, differences, sums = none, none, deltas[:0], deltas[:0]
    else:
        weights, h = (part.reshape(-1) for part in parts[:2])
        differences, sums = (part.reshape(-1, part.shape[-1]) for part in parts[2:])
    base = jnp.asarray(terms.base, xs.dtype)
    energy = (base * jnp.sum(deltas**2 / taus[:, None]) + jnp.sum(weights * h**2)) / 2
    return PathModel(taus, deltas, weights, h, differences, sums, base, energy)


def rounding_error(model: PathModel) -> Float[Array, ""]:
    """How far the energy may be off: an error of the score in its last digits moves h_i by that
    share of ``|s||Delta|``, which is far more than h_i itself where the path follows the level
    sets of a steep density.
    """
    k = len(model.h) // len(model.deltas)
    lengths = jnp.tile(jnp.linalg.norm(model.deltas, axis=1), k)
    sizes = jnp.linalg.norm(model.differences, axis=1) * lengths
    eps = jnp.finfo(model.h.dtype).eps
    return 32 * eps * (model.energy + jnp.sum(model.weights * jnp.abs(model.h) * sizes))


def gradient(model: PathModel) -> Float[Array, "inner d"]:
    """The derivative of the energy by the interior nodes."""
    by_s, by_r = _spread(model, model.weights * model.h)
    return to_nodes(model.base * model.deltas / model.taus[:, None] + by_s, by_r)


def gram(model: PathModel) -> Float[Array, "m m"]:
    """``C^1/2 A L^-1 A^T C^1/2`` from the Gram matrices of S and R."""
    n, m = len(model.deltas), len(model.h)
    if m == 0:
        return jnp.zeros((0, 0), model.h.dtype)
    dd, dp, pp = (jnp.tile(p, (m // n, m // n)) for p in patterns(model.taus))
    s, r = model.differences, model.sums
    cross = dp * matmul(s, r.T)
    ss = matmul(s, s.T)
    rr = matmul(r, r.T)
    roots = jnp.sqrt(model.weights)
    return roots[:, None] * (dd * ss + cross + cross.T + pp * rr) * roots[None, :]


class Factor(NamedTuple):
    """``I + c gram`` with a diagonal of one, by Cholesky."""

    c: Float[Array, ""]
    scale: Float[Array, " m"]
    matrix: Float[Array, "m m"]
    cholesky: Float[Array, "m m"]


def factorise(model: PathModel, gram, damping) -> Factor:
    """The factor of ``b (1 + mu) L + A^T C A``, mu being ``damping``."""
    c = 1 / (model.base * (1 + damping))
    matrix = jnp.eye(len(gram), dtype=gram.dtype) + c * gram
    scale = jax.lax.rsqrt(jnp.diagonal(matrix))
    scaled = matrix * scale[:, None] * scale[None, :]
    return Factor(c, scale, scaled, jnp.linalg.cholesky(scaled) if len(gram) else scaled)


class Step(NamedTuple):
    """A change of the interior nodes, with D and A of it."""

    nodes: Float[Array, "inner d"]
    differences: Float[Array, "n d"]
    change: Float[Array, " m"]


def downhill(model: PathModel, factor: Factor) -> Step:
    """``d = -(b (1 + mu) L + A^T C A)^-1 gradient``.

    With A and h multiplied by C^1/2 and z of Woodbury's formula, y = h - z solves
    ``(I + c A L^-1 A^T) y = h - c A L^-1 D^T W b Delta``. Where y is smaller than h by a factor
    lam |s|^2 a difference would lose all digits in float32.
    """
    taus = model.taus[:, None]
    pull = model.base * (model.deltas - taus * jnp.sum(model.deltas, axis=0, keepdims=True))
    roots = jnp.sqrt(model.weights)
    y = _solve(factor, roots * (model.h - factor.c * _rows(model, pull)))
    by_s, by_r = _spread(model, roots * y)
    differences = differences_of_inverse(model.taus, model.base * model.deltas / taus + by_s, by_r)
    return _as_step(model, -factor.c * differences)


def solve(model: PathModel, factor: Factor, right: Float[Array, "inner d"]) -> Step:
    """``d = (b (1 + mu) L + A^T C A)^-1 right`` for any right-hand side."""
    zero = jnp.zeros_like(model.deltas)
    load = zero.at[1:].set(-jnp.cumsum(right, axis=0))  # D^T load = right
    plain = differences_of_inverse(model.taus, load, zero)
    roots = jnp.sqrt(model.weights)
    y = _solve(factor, roots * factor.c * _rows(model, plain))
    by_s, by_r = _spread(model, roots * y)
    return _as_step(model, factor.c * differences_of_inverse(model.taus, load - by_s, -by_r))


def laplacian(taus, nodes):
    """``L d``."""
    u = _differences(nodes) / taus[:, None]
    return to_nodes(u, jnp.zeros_like(u))


def inverse_laplacian(taus, right):
    """``L^-1 right``."""
    zero = jnp.zeros((len(taus), *right.shape[1:]), right.dtype)
    load = zero.at[1:].set(-jnp.cumsum(right, axis=0))  # D^T load = right
    return inner_nodes(differences_of_inverse(taus, load, zero))


def h1_square(taus, nodes):
    """``d^T L d``, the squared H^1 norm."""
    return jnp.sum(_differences(nodes) ** 2 / taus[:, None])


def generic(model: PathModel) -> Float[Array, "inner d"]:
    """A fixed right-hand side without the symmetries that a problem may have."""
    inner = model.deltas[1:]
    return jax.random.normal(jax.random.key(0), inner.shape, inner.dtype)


def to_nodes(u, v):
    """``D^T u + P^T v`` at the interior nodes."""
    return u[:-1] - u[1:] + v[:-1] + v[1:]


def differences_of_inverse(taus, u, v):
    """``D L^-1 (D^T u + P^T v)``, by running sums: O(N D)."""
    steps = jnp.cumsum(v[:-1] + v[1:], axis=0)
    w = u - jnp.concatenate([jnp.zeros_like(u[:1]), steps])
    taus = taus[:, None]
    return taus * (w - jnp.sum(taus * w, axis=0, keepdims=True))


def inner_nodes(differences):
    """The interior nodes of a polyline that starts and ends at 0, from its differences."""
    return jnp.cumsum(differences, axis=0)[:-1]


def patterns(taus):
    """D L^-1 D^T, D L^-1 P^T and P L^-1 P^T: constants of the mesh."""
    n = len(taus)
    eye = np.eye(n)
    steps = np.zeros((n, n))
    steps[1:] = np.cumsum(eye[:-1] + eye[1:], axis=0)
    steps = jnp.asarray(steps, taus.dtype)
    column = taus[:, None]
    dd = jnp.diag(taus) - column * taus[None, :]
    dp = column * (jnp.sum(column * steps, axis=0, keepdims=True) - steps)
    inner = jnp.cumsum(dp, axis=0)
    pp = inner + jnp.concatenate([jnp.zeros_like(inner[:1]), inner[:-1]])
    return dd, dp, (pp + pp.T) / 2


def _as_step(model, differences) -> Step:
    return Step(inner_nodes(differences), differences, _rows(model, differences))


def _differences(nodes):
    zero = jnp.zeros_like(nodes[:1])
    return jnp.diff(jnp.concatenate([zero, nodes, zero]), axis=0)


def _neighbour_sums(differences):
    inner = inner_nodes(differences)
    zero = jnp.zeros_like(differences[:1])
    return jnp.concatenate([zero, inner]) + jnp.concatenate([inner, zero])


def _by_score(model, array):
    """Rows with one axis for the scores, one for the segments."""
    n, m = len(model.deltas), len(model.h)
    return array.reshape(m // n, n, *array.shape[1:])


def _spread(model, weights):
    """``S^T weights`` and ``R^T weights``, summed over scores: (N, D) each."""
    weights = _by_score(model, weights)
    parts = (_by_score(model, model.differences), _by_score(model, model.sums))
    return tuple(einsum("knd,kn->nd", a, weights) for a in parts)


def _rows(model, differences):
    """A d from D d: (M,)."""
    s, r = _by_score(model, model.differences), _by_score(model, model.sums)
    by_s = einsum("knd,nd->kn", s, differences)
    by_r = einsum("knd,nd->kn", r, _neighbour_sums(differences))
    return (by_s + by_r).reshape(-1)


def _solve(factor: Factor, right):
    """``(I + c gram)^-1 right``, refined once."""
    if len(right) == 0:
        return right

    def solve(b):
        return jax.scipy.linalg.cho_solve((factor.cholesky, True), b)

    target = factor.scale * right
    first = solve(target)
    residual = target - matmul(factor.matrix, first)
    return factor.scale * (first + solve(residual))
