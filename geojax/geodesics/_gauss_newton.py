"""Structured Gauss-Newton with damping in the H^1 norm: the default two-point solver.

With the rows dh_i/dx stacked into A, ``L = tridiag(-1, 2, -1)`` and b the metric's base,

    gradient = N (D^T (b Delta + S h) + P^T (R h))        H = N (b L + A^T A),  A = S D + R P

where D takes differences of neighbouring nodes and P sums of them, S and R being the difference and
sum parts of dh (weighted by sqrt(lam)). A step solves ``(H + mu N b L) d = -gradient`` by Woodbury:
``d = -T (grad - A^T (I + A T A^T)^-1 A T grad) / N`` with ``T = L^-1 / (b (1 + mu))``. Everything
needs L^-1 only between D, P and their transposes, where it is a running sum, and ``A T A^T``
comes from three Gram matrices of vectors in R^D: O(N^2 D + N^3) time, O(N D) memory, nothing of
size D^2. The blocks of A nearly cancel between neighbours; keeping S and R apart, with
``D L^-1 D^T`` equal to ``I - 11^T / N`` exactly, keeps the digits in float32.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..metrics import AbstractLowRankMetric
from ._iterate import AbstractIterativeSolver
from ._problem import TwoPointProblem

_HIGHEST = jax.lax.Precision.HIGHEST


class _Model(NamedTuple):
    """The quadratic model at a path; segments and scores share one axis of M = K N rows."""

    deltas: Float[Array, "n d"]
    h: Float[Array, " m"]
    differences: Float[Array, "m d"]
    sums: Float[Array, "m d"]
    base: Float[Array, ""]
    energy: Float[Array, ""]


class _State(NamedTuple):
    xs: Float[Array, "nodes *shape"]
    model: _Model
    gram: Float[Array, "m m"]
    damping: Float[Array, ""]
    step: Float[Array, "inner d"]
    decrement: Float[Array, ""]
    predicted: Float[Array, ""]


class GaussNewton(AbstractIterativeSolver):
    """Gauss-Newton/Levenberg-Marquardt for low-rank metrics, damped in the H^1 norm.

    - ``rtol``: bound on the Newton decrement ``-grad . d / E``, the relative energy that a full
      step would still gain. None: 1e-10 in float64, 1e-6 in float32.
    - ``damping``: the initial mu, relative to the Euclidean Hessian, hence independent of the mesh.

    One iteration costs one score and one VJP a segment (midpoint rule).

    **Raises:** `ValueError` for a metric that is not low-rank.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> solution = geojax.geodesic(metric, a, b, geojax.GaussNewton(rtol=1e-4))
    >>> print(f"{solution.length:.3f}")
    2.122
    """

    rtol: float | None = eqx.field(static=True, default=None)
    damping: float = eqx.field(static=True, default=1.0)

    def init(self, problem, xs):
        if not isinstance(problem.metric, AbstractLowRankMetric):
            raise ValueError(
                "GaussNewton needs a metric of the form base I + sum lam s s^T, got "
                f"{type(problem.metric).__name__}. Use solver=PathEnergy()."
            )
        shapes = jax.eval_shape(lambda: _model(problem, xs))
        blank = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        blank = blank._replace(energy=jnp.asarray(jnp.inf, xs.dtype))
        gram = jnp.zeros((len(blank.h), len(blank.h)), xs.dtype)
        damping, step = jnp.asarray(self.damping, xs.dtype), jnp.zeros_like(blank.deltas[1:])
        return _State(xs, blank, gram, damping, step, blank.energy, blank.energy)

    def step(self, problem, state):
        xs = state.xs.at[1:-1].add(state.step.reshape(state.xs[1:-1].shape))
        model = _model(problem, xs)
        slack = 32 * jnp.finfo(xs.dtype).eps * state.model.energy
        gain = state.model.energy - model.energy
        first = jnp.isinf(state.model.energy)
        accept = _defined(model) & (first | (gain >= -slack) & (state.predicted > 0))
        # Damping falls as far as the model was right (Nielsen 1999). A gain below half of the
        # prediction means a true curvature well above the model's: more damping then converges
        # faster. Within the rounding error of the energy the ratio says nothing, and the damping
        # that served last stays.
        ratio = gain / state.predicted
        shrink = jnp.maximum(0.2, 1 - (2 * ratio - 1) ** 3)
        factor = jnp.where(ratio < 0.5, 2.0, shrink)
        factor = jnp.where(~first & (state.predicted > slack), factor, 1.0)
        damping = state.damping * jnp.where(accept, factor, 4.0)
        pick = lambda new, old: jnp.where(accept, new, old)  # noqa: E731
        model = jax.tree.map(pick, model, state.model)
        new = _propose(pick(xs, state.xs), model, _gram(model), damping)
        # After a refused step the path is the same and the bound found before holds too.
        tighter = jnp.minimum(new.decrement, state.decrement)
        return new._replace(decrement=pick(new.decrement, tighter))

    def read(self, state):
        return state.xs, state.model.energy, state.decrement

    def stalled(self, state):
        return state.damping > 1e12


def _model(problem: TwoPointProblem, xs) -> _Model:
    assert isinstance(problem.metric, AbstractLowRankMetric)
    base, weights, scores, _ = problem.metric.terms()
    n = len(xs) - 1
    deltas = (xs[1:] - xs[:-1]).reshape(n, -1)
    parts: list[Any] = []
    for weight, score in zip(weights, scores, strict=True):
        root = jnp.sqrt(weight).astype(xs.dtype)
        lin = problem.rule.linearise(score, xs, problem.args)
        parts.append([root * part.reshape(n, -1) for part in lin])
    if parts:
        h, differences, sums = (jnp.concatenate(p) for p in zip(*parts, strict=True))
        h = h[:, 0]
    else:
        h, differences, sums = jnp.zeros(0, xs.dtype), deltas[:0], deltas[:0]
    base = jnp.asarray(base, xs.dtype)
    energy = n / 2 * (base * jnp.sum(deltas**2) + jnp.sum(h**2))
    return _Model(deltas, h, differences, sums, base, energy)


def _defined(model: _Model):
    """Whether the energy and its derivatives are finite."""
    derivatives = jnp.isfinite(model.differences) & jnp.isfinite(model.sums)
    return jnp.isfinite(model.energy) & jnp.all(derivatives)


def _difference_of_inverse(u, v):
    """``D L^-1 (D^T u + P^T v)``, by running sums: O(N D)."""
    steps = jnp.cumsum(v[:-1] + v[1:], axis=0)
    w = u - jnp.concatenate([jnp.zeros_like(u[:1]), steps])
    return w - jnp.mean(w, axis=0, keepdims=True)


def _inner_nodes(differences):
    """The interior nodes of a polyline that starts and ends at 0, from its differences."""
    return jnp.cumsum(differences, axis=0)[:-1]


def _neighbour_sums(inner):
    zero = jnp.zeros((1, *inner.shape[1:]), inner.dtype)
    return jnp.concatenate([zero, inner]) + jnp.concatenate([inner, zero])


def _patterns(n: int, dtype):
    """D L^-1 D^T, D L^-1 P^T and P L^-1 P^T, constants of N."""
    eye = np.eye(n)
    dd = eye - 1 / n
    steps = np.zeros((n, n))
    steps[1:] = np.cumsum(eye[:-1] + eye[1:], axis=0)
    dp = steps.mean(axis=0) - steps
    inner = np.cumsum(dp, axis=0)
    pp = inner + np.concatenate([np.zeros((1, n)), inner[:-1]])
    return tuple(jnp.asarray(a, dtype) for a in (dd, dp, (pp + pp.T) / 2))


def _gram(model: _Model):
    """``A L^-1 A^T`` from the Gram matrices of S and R."""
    n, m = len(model.deltas), len(model.h)
    if m == 0:
        return jnp.zeros((0, 0), model.h.dtype)
    dd, dp, pp = (jnp.tile(p, (m // n, m // n)) for p in _patterns(n, model.h.dtype))
    s, r = model.differences, model.sums
    cross = dp * jnp.matmul(s, r.T, precision=_HIGHEST)
    ss = jnp.matmul(s, s.T, precision=_HIGHEST)
    rr = jnp.matmul(r, r.T, precision=_HIGHEST)
    return dd * ss + cross + cross.T + pp * rr


def _propose(xs, model: _Model, gram, damping) -> _State:
    """The damped step from ``xs``, its decrement and the energy it should gain."""
    (n, d), m = model.deltas.shape, len(model.h)
    c = 1 / (model.base * (1 + damping))
    s, r = (a.reshape(m // n, n, d) for a in (model.differences, model.sums))

    def spread(weights):
        """``S weights`` and ``R weights``, summed over scores: (N, D) each."""
        weights = weights.reshape(m // n, n)
        return tuple(jnp.einsum("knd,kn->nd", a, weights, precision=_HIGHEST) for a in (s, r))

    def rows(differences, sums):
        """A d from D d and P d: (M,)."""
        by_s = jnp.einsum("knd,nd->kn", s, differences, precision=_HIGHEST)
        return (by_s + jnp.einsum("knd,nd->kn", r, sums, precision=_HIGHEST)).reshape(m)

    # With z of the formula above, y = h - z solves
    #     (I + c A L^-1 A^T) y = h - c A L^-1 D^T b Delta.
    # Where y is smaller than h by a factor lam |s|^2 a difference would lose all digits in float32.
    pull = model.base * (model.deltas - jnp.mean(model.deltas, axis=0, keepdims=True))
    y = _solve(gram, c, model.h - c * rows(pull, _neighbour_sums(_inner_nodes(pull))))
    by_s, by_r = spread(y)
    differences = -c * _difference_of_inverse(model.base * model.deltas + by_s, by_r)
    step = _inner_nodes(differences)
    change = rows(differences, _neighbour_sums(step))
    # -grad . d and d^T H d are computed apart: they agree only if the linear algebra held.
    slope = -n * (model.base * jnp.sum(model.deltas * differences) + jnp.sum(model.h * change))
    stretch = n * model.base * jnp.sum(differences**2)
    curvature = stretch + n * jnp.sum(change**2)
    damped = curvature + damping * stretch
    error = jnp.abs(slope - damped)
    sound = error <= 0.5 * damped
    energy = jnp.where(model.energy > 0, model.energy, 1.0)
    # H_mu <= (1 + mu) H, so this bounds the undamped decrement from above.
    decrement = (1 + damping) * (jnp.maximum(slope, damped) + error) / energy
    decrement = jnp.where(jnp.isfinite(decrement), decrement, jnp.inf)
    decrement = jnp.where(_defined(model), decrement, jnp.nan)
    predicted = jnp.where(sound, slope - curvature / 2, -jnp.inf)
    return _State(xs, model, gram, damping, step, decrement, predicted)


def _solve(gram, c, right):
    """``(I + c gram)^-1 right`` by Cholesky after scaling the diagonal to one, refined once."""
    if len(right) == 0:
        return right
    matrix = jnp.eye(len(right), dtype=gram.dtype) + c * gram
    scale = jax.lax.rsqrt(jnp.diagonal(matrix))
    scaled = matrix * scale[:, None] * scale[None, :]
    chol = jnp.linalg.cholesky(scaled)

    def solve(b):
        return jax.scipy.linalg.cho_solve((chol, True), b)

    target = scale * right
    first = solve(target)
    residual = target - jnp.matmul(scaled, first, precision=_HIGHEST)
    return scale * (first + solve(residual))
