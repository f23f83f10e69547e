"""What a path's energy does to second order around it: Hessian products, and two uses of them.

`certify` asks whether a stationary path is a minimum (`_certificate`), and `attach` gives the inner
offsets of a path that a solver has found their derivatives (`envelope` the energy its own), by the
implicit function theorem: with G the gradient of the energy by the inner offsets z,
``G(z, theta) = 0`` makes ``dz = -H^-1 (dG/dtheta) dtheta``, by preconditioned conjugate gradients.
theta are the ends, ``args``, and every number in metric and score. Nothing of a solver's loop is
differentiated.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._linalg import dot
from ..metrics import AbstractLowRankMetric
from . import _path_hessian as ph
from ._certificate import missed_saddle, probe, residual_needed, search
from ._conjugate_gradients import truncated_cg
from ._curvature import flat_inner, gradient, hessian
from ._preconditioner import AbstractPreconditioner, gauss_newton, stiffness
from ._problem import TwoPointProblem

_CHECK_STEPS = 200
_SOLVE_STEPS = 500
_SOLVED = 1e-4  # the residual, relative, of a derivative that is handed out


def held(tree):
    """The pytree, with no derivative by what it holds."""
    return jax.tree.map(lambda a: jax.lax.stop_gradient(a) if eqx.is_array(a) else a, tree)


def with_ends(inner):
    """The offsets of all nodes from those of the inner ones."""
    return jnp.pad(inner, [(1, 1), *[(0, 0)] * (inner.ndim - 1)])


def _gradient(inner, problem: TwoPointProblem):
    """The derivative of the energy by the inner offsets, as the solver sees it."""
    return gradient(problem, with_ends(inner), inner)


def _preconditioner(inner, problem: TwoPointProblem) -> AbstractPreconditioner:
    """``H^-1`` roughly: by the Gauss-Newton Hessian where there is one, else by the stiffness."""
    offsets, undamped = with_ends(inner), jnp.zeros((), inner.dtype)
    if isinstance(problem.metric, AbstractLowRankMetric):
        return gauss_newton(ph.linearise(problem, offsets), undamped)
    return stiffness(problem, offsets, undamped)


def certify(problem: TwoPointProblem, offsets, active: Bool[Array, ""]):
    """Whether the path is a saddle, by `_certificate`.

    **Returns:** that, a bound on the probability that it is one all the same, and the number of
    Hessian products it took.
    """
    offsets = with_ends(offsets[1:-1])
    inner, preconditioner = flat_inner(offsets), _preconditioner(offsets[1:-1], problem)
    found = search(
        lambda: hessian(problem, offsets),
        preconditioner,
        lambda: probe(preconditioner, inner),
        inner,
        active=active,
        rtol=residual_needed(inner.size),
        max_steps=_CHECK_STEPS,
    )
    return found.negative, missed_saddle(found, inner.size), found.count


def certify_cost(problem: TwoPointProblem, num_segments: int, count) -> tuple[Any, Any]:
    """Score evaluations and derivative products of `certify` with ``count`` products."""
    low_rank = isinstance(problem.metric, AbstractLowRankMetric)
    ready = problem.cost(num_segments) if low_rank else (0, 0)
    search = problem.curvature_cost(num_segments, jnp.minimum(count, 1), count)
    return ready[0] + search[0], ready[1] + search[1]


@eqx.filter_custom_jvp
def attach(inner: Float[Array, "inner *shape"], problem: TwoPointProblem):
    """The inner offsets of a minimiser, with its derivatives by all that ``problem`` holds.

    Forward and reverse, of any order. NaN where the linear system was not solved: at a path that
    is no minimum there is no derivative.
    """
    del problem
    return inner


@attach.def_jvp
def _attach_jvp(primals, tangents):
    inner, problem = primals
    unexpected, tangent = tangents
    check_closures(unexpected)
    x = attach(inner, problem)
    right = _by_problem(lambda p: _gradient(x, p), problem, tangent)
    if right is None:
        return x, jnp.zeros_like(x)
    return x, -_solve(x, problem, right)


def _solve(x, problem, right):
    """``H^-1 right``; NaN where conjugate gradients did not get there."""
    flat, shape = (len(x), -1), x.shape
    inverse = _preconditioner(*held((x, problem)))
    precondition = lambda r: inverse(r.reshape(flat)).reshape(shape)  # noqa: E731
    # Far beyond what a derivative needs, as what is asked for may be a derivative of it.
    eps = float(jnp.finfo(x.dtype).eps)
    rtol = 10 * eps if x.dtype == jnp.float64 else 100 * eps

    def solve(product, b):
        first = precondition(b)
        size = dot(b, first)
        found = truncated_cg(
            product,
            precondition,
            b,
            first,
            size,
            active=size > 0,
            rtol=rtol,
            max_steps=_SOLVE_STEPS,
        )
        residual = b - product(found.solution)
        left = jnp.abs(dot(residual, precondition(residual)))
        return jnp.where(left <= _SOLVED**2 * size, found.solution, jnp.nan)

    # The product stays differentiable by x and the parameters: higher derivatives go through it.
    product = lambda d: jax.jvp(lambda y: _gradient(y, problem), (x,), (d,))[1]  # noqa: E731
    return jax.lax.custom_linear_solve(product, right, solve, symmetric=True)


def check_closures(tangents):
    """What a solver found is held: a derivative can reach it only behind the problem's back."""
    if jax.tree.leaves(tangents):
        raise ValueError(
            "the metric or its score is a function that closes over a value to differentiate by, "
            "which the derivative of a geodesic cannot see. Pass that value as a field of an "
            "equinox module, or bound by jax.tree_util.Partial(score, ...), or in args."
        )


def _by_problem(function, problem, tangent):
    """The derivative of ``function(problem)`` along the tangent; None where that is nothing."""
    if not jax.tree.leaves(tangent):
        return None
    return eqx.filter_jvp(function, (problem,), (tangent,))[1]


@eqx.filter_custom_jvp
def recalled(known, function, offsets, problem: TwoPointProblem):
    """``function(problem, offsets)``, which is ``known`` already, with its derivatives."""
    del function, offsets, problem
    return known


@recalled.def_jvp
def _recalled_jvp(primals, tangents):
    known, function, offsets, problem = primals
    *_, by_offsets, by_problem = tangents
    out = recalled(known, function, offsets, problem)
    moving = by_offsets, by_problem
    if not jax.tree.leaves(moving):
        return out, jnp.zeros_like(out)
    apply = lambda offsets, problem: function(problem, offsets)  # noqa: E731
    return out, eqx.filter_jvp(apply, (offsets, problem), moving)[1]


@eqx.filter_custom_jvp
def envelope(energy: Float[Array, ""], inner, problem: TwoPointProblem):
    """The energy at a minimiser; its first derivative takes no solve (envelope theorem)."""
    del inner, problem
    return energy


@envelope.def_jvp
def _envelope_jvp(primals, tangents):
    energy, inner, problem = primals
    *unexpected, tangent = tangents
    check_closures(unexpected)
    x = attach(inner, problem)
    out = envelope(energy, inner, problem)
    change = _by_problem(lambda p: p.energy(with_ends(x)), problem, tangent)
    return out, jnp.zeros_like(out) if change is None else change
