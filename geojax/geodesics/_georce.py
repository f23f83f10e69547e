"""GEORCE: a two-point solver that solves for the steps of the path (arXiv 2505.05961).

Rygaard & Hauberg take `u_t = x_{t+1} - x_t` as unknowns. The cost of the step u_t is that of the
metric G_t at one point of its segment. With G_t and `nu_t = grad_x u_t^T G(x) u_t` fixed, they
minimise

    sum_t u_t^T G_t u_t + nu_t . (the motion of that point)    subject to sum_t u_t = x_N - x_0

in closed form: `u_t = -W_t (mu + S_t) / 2` with `W_t = G_t^-1`. S_t is the sum of the nu of the
points that move with u_t, and `mu = -(sum W)^-1 (2 (x_N - x_0) + sum W_t S_t)`. A line search from
the old steps to the new follows. It is computed here as a correction of the old steps, from
`q_t = G_t u_t + S_t / 2`, the gradient by u_t over N: the same numbers, with fewer digits lost.

As published the inverses are dense: O(N D^3) time, O(N D^2) memory. For `b_t I + F_t^T F_t` they
are not needed: with `W_t = I / b_t - Y_t^T Y_t` and c the sum of 1 / b_t, Woodbury's formula leaves
one system of the size of the stacked Y: `(c I - Y^T Y)^-1 r = (r + Y^T (c I - Y Y^T)^-1 Y r) / c`.
In all it takes O(N^2 D + N^3) time and O(N D) memory.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._linalg import dot, einsum, matmul
from ..metrics import DenseMetric, LowRankOperator
from ._iterate import AbstractIterativeSolver
from ._rules import Midpoint

_DESCENT = 1e-4  # share of the decrease predicted by the slope: Armijo's condition


class _DenseMetrics(NamedTuple):
    """G_t as matrices."""

    matrices: Float[Array, "n d d"]

    def product(self, us):
        return einsum("nij,nj->ni", self.matrices, us)

    def balanced(self, q):
        """`-W_t (q_t + mu)`, with mu such that these sum to zero."""
        inverses = jnp.linalg.inv(self.matrices)
        wq = einsum("nij,nj->ni", inverses, q)
        mu = -jnp.linalg.solve(jnp.sum(inverses, axis=0), jnp.sum(wq, axis=0))
        return -wq - einsum("nij,j->ni", inverses, mu)


class _LowRankMetrics(NamedTuple):
    """`G_t = bases_t I + sum_k factors_tk factors_tk^T`."""

    bases: Float[Array, " n"]
    factors: Float[Array, "n k d"]

    def product(self, us):
        weights = einsum("nkd,nd->nk", self.factors, us)
        spread = einsum("nkd,nk->nd", self.factors, weights)
        return self.bases[:, None] * us + spread

    def balanced(self, q):
        """`-W_t (q_t + mu)`, with mu such that these sum to zero."""
        n, k, d = self.factors.shape
        gram = einsum("nkd,nld->nkl", self.factors, self.factors)
        small = jax.vmap(lambda b, g: b * jnp.eye(k, dtype=b.dtype) + g)(self.bases, gram)
        chol = jnp.linalg.cholesky(small)
        ys = jax.lax.linalg.triangular_solve(chol, self.factors, left_side=True, lower=True)
        ys = ys / jnp.sqrt(self.bases)[:, None, None]

        def inverse(v):
            weights = einsum("nkd,nd->nk", ys, v)
            spread = einsum("nkd,nk->nd", ys, weights)
            return v / self.bases[:, None] - spread

        wq = inverse(q)
        right, rows, total = jnp.sum(wq, axis=0), ys.reshape(n * k, d), jnp.sum(1 / self.bases)
        system = total * jnp.eye(n * k, dtype=q.dtype)
        system = system - matmul(rows, rows.T)
        inner = jnp.linalg.solve(system, matmul(rows, right))
        mu = -(right + matmul(inner, rows)) / total
        return -wq - inverse(jnp.broadcast_to(mu, q.shape))


class _State(NamedTuple):
    offsets: Float[Array, "nodes *shape"]
    direction: Float[Array, "inner d"]
    length: Float[Array, ""]  # of the line search, as a fraction of the direction
    slope: Float[Array, ""]  # minus the derivative of the energy along the direction
    energy: Float[Array, ""]
    decrement: Float[Array, ""]


class Georce(AbstractIterativeSolver):
    """GEORCE (Rygaard & Hauberg, arXiv 2505.05961), a second-order solver in the steps of the path.

    Use it to compare with the published method, or for a [`geojax.DenseMetric`][].

    The line search halves the step until the energy falls, and starts from twice the last one
    (published: from 1). A trial counts as an iteration: one evaluation and one VJP per segment.

    **Arguments:**

    - `rtol`: bound on the decrement, which is here `N sum_t d_t^T G_t d_t / E` for the proposed
      change d of the steps. None: 1e-10 in float64, 1e-6 in float32.
    - `dense`: invert G_t as D x D matrices, as published. This is for any metric, at O(N D^3) time
      and O(N D^2) memory per iteration. Otherwise the metric must be a `DenseMetric` (its matrices
      exist already) or one whose operator is a [`geojax.metrics.LowRankOperator`][], where nothing
      of size D^2 is made.
    - `left_end`: take the metric at the left end of a segment, as published, instead of at its
      middle. **This energy can be exploited**: its minimiser jumps from points where the metric is
      small. The solution's `energy` is then that of this rule, and its `discretisation_error` the
      distance from the fine energy as always. An exploited result is under-resolved, not
      successful. Errors fall like 1 / N instead of 1 / N^2.

    **Raises:**

    - `ValueError`: for a rule other than [`geojax.Midpoint`][], and for a metric that would need D
      x D matrices when `dense` is False.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> solution = geojax.geodesic(metric, a, b, solver=geojax.Georce(rtol=1e-4))
    >>> print(f"{solution.length:.3f}")
    2.122
    """

    rtol: float | None = eqx.field(static=True, default=None)
    dense: bool = eqx.field(static=True, default=False)
    left_end: bool = eqx.field(static=True, default=False)

    def init(self, problem, offsets):
        if not isinstance(problem.rule, Midpoint):
            raise ValueError(
                f"Georce takes the metric at one point of each segment, got "
                f"rule={type(problem.rule).__name__}(). Use rule=Midpoint()."
            )
        unknown, one = jnp.asarray(jnp.inf, offsets.dtype), jnp.ones((), offsets.dtype)
        direction = jnp.zeros((len(offsets) - 2, offsets[0].size), offsets.dtype)
        return _State(offsets, direction, one, one, unknown, unknown)

    def step(self, problem, state):
        move = (state.length * state.direction).reshape(state.offsets[1:-1].shape)
        offsets = state.offsets.at[1:-1].add(move)
        energy, gradient, metrics = self._price(problem, offsets)
        first = jnp.isinf(state.energy)
        slack = 32 * jnp.finfo(offsets.dtype).eps * state.energy
        enough = state.energy - _DESCENT * state.length * state.slope + slack
        accept = first | (energy <= enough) & jnp.all(jnp.isfinite(gradient))

        def propose():
            direction, slope, decrement = _direction(energy, gradient, metrics)
            length = jnp.where(first, 1.0, jnp.minimum(1.0, 2 * state.length)).astype(offsets.dtype)
            return _State(offsets, direction, length, slope, energy, decrement)

        def shorten():
            return state._replace(length=state.length / 2)

        return jax.lax.cond(accept, propose, shorten)

    def read(self, state):
        return state.offsets, state.energy, state.decrement

    def stalled(self, state):
        return state.length < jnp.finfo(state.length.dtype).eps

    def _price(self, problem, offsets):
        """The energy, its gradient by the steps over N, and the metrics of the segments."""
        metric, args, n = problem.metric, problem.args, len(offsets) - 1
        matrices = self.dense or isinstance(metric, DenseMetric)

        def metric_at(x, weight):
            if matrices:
                return _DenseMetrics(weight * metric.as_matrix(x, args)[None])
            operator = metric.operator(x, args)
            if not isinstance(operator, LowRankOperator):
                raise ValueError(
                    f"Georce inverts the metric, and {type(metric).__name__} has neither a "
                    f"low-rank operator nor matrices: it would make matrices of {x.size} x "
                    f"{x.size}. Allow it by Georce(dense=True), or use solver=PathEnergy()."
                )
            factors = operator.factors.reshape(1, len(operator.factors), x.size)
            roots = jnp.sqrt(weight * operator.weights)[None, :, None]
            return _LowRankMetrics(weight * operator.base[None], roots * factors)

        def one(x, u, weight):
            def squared(y):
                here = metric_at(y, weight)
                return dot(u.reshape(1, -1), here.product(u.reshape(1, -1))), here

            (square, here), nu = jax.value_and_grad(squared, has_aux=True)(x)
            return square, nu.reshape(-1), jax.tree.map(lambda a: a[0], here)

        path, taus = problem.path(offsets), problem.basis(offsets).weights
        steps = jax.vmap(jnp.multiply)(taus, path.velocities)
        points = path.nodes[:-1] if self.left_end else path.points
        weights = 1 / (n * taus)  # 1 on the uniform mesh
        squares, nus, metrics = problem.rule.map(one, points, steps, weights)
        # A step moves the points of all later segments, and its own point if that is the middle.
        later = jnp.cumsum(nus[::-1], axis=0)[::-1] - nus
        moved = later if self.left_end else later + nus / 2
        gradient = metrics.product(steps.reshape(n, -1)) + moved / 2
        return n / 2 * jnp.sum(squares), gradient, metrics


def _direction(energy, gradient, metrics: Any):
    """The change of the inner nodes, minus the energy's slope along it, the decrement."""
    # The mean over the steps acts on the fixed end and moves nothing.
    gradient = gradient - jnp.mean(gradient, axis=0, keepdims=True)
    change = metrics.balanced(gradient)
    change = change - jnp.mean(change, axis=0, keepdims=True)
    n = len(change)
    # Both are equal if the linear algebra is accurate, hence computed separately.
    slope = -n * jnp.sum(gradient * change)
    square = n * jnp.sum(change * metrics.product(change))
    bound = jnp.maximum(slope, square) + jnp.abs(slope - square)
    decrement = bound / jnp.where(energy > 0, energy, 1.0)
    finite = jnp.all(jnp.isfinite(gradient))
    lost = jnp.where(jnp.isfinite(decrement), decrement, jnp.inf)
    return jnp.cumsum(change, axis=0)[:-1], slope, jnp.where(finite, lost, jnp.nan)
