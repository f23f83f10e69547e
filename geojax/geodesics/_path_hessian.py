"""The energy of a path to second order, for metrics `base I + sum lam s s^T`.

Let z be the offsets of the inner nodes, V and B the matrices that give the path's velocities and
points from them (`_basis`), W the diagonal of the quadrature weights and b the metric's base:

    energy = (b |x1 - x0|^2 + b z^T K z + sum c_q h_q^2) / 2          c = lam w     K = V^T W V
    gradient = b K z + A^T c h         H_GN = b K + A^T C A           A = S V + R B

S (the scores) and R are the derivatives of the rates h by velocities and by points, one row per
point and score. The weights C stand outside, so that all three have derivatives by lam at 0.
`(b (1 + mu) K + A^T C A) d = r` is solved by Woodbury with an M x M matrix, where M is the number
of rows; there the rows are multiplied by C^1/2. `A K^-1 A^T` comes from three Gram matrices of
vectors in R^D: O(M^2 D + M^3) time, O(M D) memory, nothing of size D^2. Keeping S and R apart keeps
the digits in float32.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import einsum, matmul
from ..metrics import AbstractLowRankMetric
from ._basis import Basis
from ._problem import TwoPointProblem


class PathModel(NamedTuple):
    """The quadratic model at a path; points and scores share one axis of M = K Q rows.

    `offsets` are those of the inner nodes, `bends` their part of the velocities (V z).
    """

    basis: Basis
    chord: Float[Array, " d"]
    offsets: Float[Array, "inner d"]
    bends: Float[Array, "q d"]
    weights: Float[Array, " m"]
    h: Float[Array, " m"]
    by_velocity: Float[Array, "m d"]
    by_point: Float[Array, "m d"]
    base: Float[Array, ""]
    energy: Float[Array, ""]

    @property
    def defined(self):
        """Whether the energy and its derivatives are finite."""
        derivatives = jnp.isfinite(self.by_velocity) & jnp.isfinite(self.by_point)
        return jnp.isfinite(self.energy) & jnp.all(derivatives)


def linearise(problem: TwoPointProblem, offsets) -> PathModel:
    """The model of the path with these `offsets`; evaluates the scores and derivatives once."""
    assert isinstance(problem.metric, AbstractLowRankMetric)
    terms = problem.metric.terms()
    basis = problem.basis(offsets)
    path = problem.sampled(basis, offsets)
    inner = offsets[1:-1].reshape(len(offsets) - 2, problem.x0.size)
    chord = problem.chord.reshape(-1)
    bends = matmul(basis.inner_derivative, inner)
    size, dtype = len(basis.weights), offsets.dtype

    def rows(weight, score, _):
        rates, *by = problem.rule.linearise(score, path, problem.args)
        return weight.astype(dtype) * basis.weights, rates, *(a.reshape(size, -1) for a in by)

    parts = terms.each(rows)
    if parts is None:
        none = jnp.zeros(0, dtype)
        weights, h, by_velocity, by_point = none, none, bends[:0], bends[:0]
    else:
        weights, h = (part.reshape(-1) for part in parts[:2])
        by_velocity, by_point = (part.reshape(-1, part.shape[-1]) for part in parts[2:])
    base = jnp.asarray(terms.base, dtype)
    flat = jnp.sum(chord**2) + jnp.sum(basis.weights[:, None] * bends**2)
    energy = (base * flat + jnp.sum(weights * h**2)) / 2
    return PathModel(basis, chord, inner, bends, weights, h, by_velocity, by_point, base, energy)


def rounding_error(model: PathModel) -> Float[Array, ""]:
    """The rounding error of the energy.

    An error of the score in its last digits changes h by that share of `|s||x'|`. This is far more
    than h itself where the path follows the level sets of a steep density.
    """
    speeds = jnp.linalg.norm(model.chord[None] + model.bends, axis=1)
    sizes = jnp.linalg.norm(model.by_velocity, axis=1) * jnp.tile(
        speeds, len(model.h) // len(speeds)
    )
    eps = jnp.finfo(model.h.dtype).eps
    return 32 * eps * (model.energy + jnp.sum(model.weights * jnp.abs(model.h) * sizes))


def rates(model: PathModel) -> Float[Array, "scores q"]:
    """The rates h, one row per score."""
    return _by_score(model, model.h)


def squared_speeds(model: PathModel) -> Float[Array, " q"]:
    """`<x', x'>_g` at the points."""
    flat = jnp.sum((model.chord[None] + model.bends) ** 2, axis=1)
    steep = jnp.sum(_by_score(model, model.weights * model.h**2), axis=0)
    return model.base * flat + steep / model.basis.weights


def gradient(model: PathModel) -> Float[Array, "inner d"]:
    """The derivative of the energy by the inner offsets."""
    weights = model.basis.weights[:, None]
    flat = matmul(model.basis.inner_derivative.T, weights * model.bends)
    return model.base * flat + to_nodes(model, model.weights * model.h)


def momenta(model: PathModel) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
    """`g x'` at both ends, from the first variation of the energy.

    At a minimum `dE = momentum(1) . dx1 - momentum(0) . dx0`.
    """
    by_v, by_x = _spread(model, model.weights * model.h)
    mean = model.base * model.chord + jnp.sum(by_v, axis=0)
    times = model.basis.times[:, None]
    return mean - jnp.sum((1 - times) * by_x, axis=0), mean + jnp.sum(times * by_x, axis=0)


def gram(model: PathModel) -> Float[Array, "m m"]:
    """`C^1/2 A K^-1 A^T C^1/2` from the Gram matrices of S and R."""
    q, m = len(model.bends), len(model.h)
    if m == 0:
        return jnp.zeros((0, 0), model.h.dtype)
    v, b, inverse = (
        model.basis.inner_derivative,
        model.basis.inner_points,
        model.basis.inverse,
    )
    left = matmul(v, inverse)
    vv, vb, bb = matmul(left, v.T), matmul(left, b.T), matmul(matmul(b, inverse), b.T)
    vv, vb, bb = (jnp.tile(pattern, (m // q, m // q)) for pattern in (vv, vb, bb))
    s, r = model.by_velocity, model.by_point
    cross = vb * matmul(s, r.T)
    roots = jnp.sqrt(model.weights)
    whole = vv * matmul(s, s.T) + cross + cross.T + bb * matmul(r, r.T)
    return roots[:, None] * whole * roots[None, :]


class Factor(NamedTuple):
    """The Cholesky factor of `I + c gram`, scaled to a diagonal of one."""

    c: Float[Array, ""]
    scale: Float[Array, " m"]
    matrix: Float[Array, "m m"]
    cholesky: Float[Array, "m m"]


def factorise(model: PathModel, gram, damping) -> Factor:
    """The factor of `b (1 + mu) K + A^T C A`, where mu is `damping`."""
    c = 1 / (model.base * (1 + damping))
    matrix = jnp.eye(len(gram), dtype=gram.dtype) + c * gram
    scale = jax.lax.rsqrt(jnp.diagonal(matrix))
    scaled = matrix * scale[:, None] * scale[None, :]
    return Factor(c, scale, scaled, jnp.linalg.cholesky(scaled) if len(gram) else scaled)


class Step(NamedTuple):
    """A change d of the inner nodes, with V d and A d."""

    nodes: Float[Array, "inner d"]
    bends: Float[Array, "q d"]
    change: Float[Array, " m"]


def downhill(model: PathModel, factor: Factor) -> Step:
    """`d = -(b (1 + mu) K + A^T C A)^-1 gradient`.

    With A and h multiplied by C^1/2 and x of Woodbury's formula, y = h - x solves
    `(I + c A K^-1 A^T) y = h - c b A z`. Where y is smaller than h by a factor lam |s|^2, a
    difference would lose all digits in float32.
    """
    roots = jnp.sqrt(model.weights)
    flat = model.base * factor.c
    y = _solve(factor, roots * (model.h - flat * _rows(model, model.offsets, model.bends)))
    pull = matmul(model.basis.inverse, to_nodes(model, roots * y))
    return _as_step(model, -(flat * model.offsets + factor.c * pull))


def solve(model: PathModel, factor: Factor, right: Float[Array, "inner d"]) -> Step:
    """`d = (b (1 + mu) K + A^T C A)^-1 right` for any right-hand side."""
    plain = _as_step(model, matmul(model.basis.inverse, right))
    roots = jnp.sqrt(model.weights)
    y = _solve(factor, roots * factor.c * plain.change)
    pull = matmul(model.basis.inverse, to_nodes(model, roots * y))
    return _as_step(model, factor.c * (plain.nodes - pull))


def stiffness_product(basis: Basis, nodes):
    """`K d`."""
    v = basis.inner_derivative
    return matmul(v.T, basis.weights[:, None] * matmul(v, nodes))


def h1_square(basis: Basis, nodes):
    """`d^T K d`, the squared H^1 norm."""
    return jnp.sum(basis.weights[:, None] * matmul(basis.inner_derivative, nodes) ** 2)


def to_nodes(model: PathModel, weights: Float[Array, " m"]) -> Float[Array, "inner d"]:
    """`A^T weights`."""
    by_v, by_x = _spread(model, weights)
    basis = model.basis
    return matmul(basis.inner_derivative.T, by_v) + matmul(basis.inner_points.T, by_x)


def _as_step(model, nodes) -> Step:
    bends = matmul(model.basis.inner_derivative, nodes)
    return Step(nodes, bends, _rows(model, nodes, bends))


def _by_score(model, array):
    """The rows with one axis for the scores and one for the points."""
    q, m = len(model.bends), len(model.h)
    return array.reshape(m // q, q, *array.shape[1:])


def _spread(model, weights):
    """`S^T weights` and `R^T weights`, summed over scores: (Q, D) each."""
    weights = _by_score(model, weights)
    parts = (_by_score(model, model.by_velocity), _by_score(model, model.by_point))
    return tuple(einsum("kqd,kq->qd", a, weights) for a in parts)


def _rows(model, nodes, bends):
    """`A d`, shape (M,)."""
    s, r = _by_score(model, model.by_velocity), _by_score(model, model.by_point)
    by_s = einsum("kqd,qd->kq", s, bends)
    by_r = einsum("kqd,qd->kq", r, matmul(model.basis.inner_points, nodes))
    return (by_s + by_r).reshape(-1)


def _solve(factor: Factor, right):
    """`(I + c gram)^-1 right`, refined once."""
    if len(right) == 0:
        return right

    def solve(b):
        return jax.scipy.linalg.cho_solve((factor.cholesky, True), b)

    target = factor.scale * right
    first = solve(target)
    residual = target - matmul(factor.matrix, first)
    return factor.scale * (first + solve(residual))
