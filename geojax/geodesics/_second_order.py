"""Products with the Hessian of a path's energy, and two uses of them.

`certify` tests whether a stationary path is a minimum (`_certificate`). `implicit_nodes` gives the
inner offsets that a solver has found their derivatives, and `implicit_energy` those of the energy,
by the implicit function theorem. With G the gradient of the energy by the inner offsets z,
`G(z, theta) = 0` gives `dz = -H^-1 (dG/dtheta) dtheta`, by preconditioned conjugate gradients.
theta are the ends, `args`, and every number in metric and score. No solver's loop is
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
_SOLVED = 1e-4  # largest relative residual of a derivative that is returned


def stop_gradients(tree):
    """The pytree without derivatives by its leaves."""
    return jax.tree.map(lambda a: jax.lax.stop_gradient(a) if eqx.is_array(a) else a, tree)


def with_ends(inner):
    """The offsets of all nodes from those of the inner ones."""
    return jnp.pad(inner, [(1, 1), *[(0, 0)] * (inner.ndim - 1)])


def _gradient(inner, problem: TwoPointProblem):
    """The derivative of the energy by the inner offsets, as the solver computes it."""
    return gradient(problem, with_ends(inner), inner)


def _preconditioner(inner, problem: TwoPointProblem) -> AbstractPreconditioner:
    """An approximation of `H^-1`: Gauss-Newton where there is one, else by the stiffness."""
    offsets, undamped = with_ends(inner), jnp.zeros((), inner.dtype)
    if isinstance(problem.metric, AbstractLowRankMetric):
        return gauss_newton(ph.linearise(problem, offsets), undamped)
    return stiffness(problem, offsets, undamped)


def certify(problem: TwoPointProblem, offsets, active: Bool[Array, ""]):
    """Whether the path is a saddle, by `_certificate`.

    Returns that, a bound on the probability of a missed saddle, and the number of Hessian products.
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
    """Score evaluations and derivative products of `certify` with `count` products."""
    low_rank = isinstance(problem.metric, AbstractLowRankMetric)
    ready = problem.cost(num_segments) if low_rank else (0, 0)
    search = problem.curvature_cost(num_segments, jnp.minimum(count, 1), count)
    return ready[0] + search[0], ready[1] + search[1]


@eqx.filter_custom_jvp
def implicit_nodes(inner: Float[Array, "inner *shape"], problem: TwoPointProblem):
    """The inner offsets of a minimiser, with their derivatives by all numbers in `problem`.

    Forward and reverse, of any order. NaN where the linear system was not solved: a path that is no
    minimum has no derivative.
    """
    del problem
    return inner


@implicit_nodes.def_jvp
def _implicit_nodes_jvp(primals, tangents):
    inner, problem = primals
    unexpected, tangent = tangents
    check_closures(unexpected)
    x = implicit_nodes(inner, problem)
    right = _by_problem(lambda p: _gradient(x, p), problem, tangent)
    if right is None:
        return x, jnp.zeros_like(x)
    return x, -_solve(x, problem, right)


def _solve(x, problem, right):
    """`H^-1 right`; NaN where conjugate gradients did not converge."""
    flat, shape = (len(x), -1), x.shape
    inverse = _preconditioner(*stop_gradients((x, problem)))
    precondition = lambda r: inverse(r.reshape(flat)).reshape(shape)  # noqa: E731
    # More accurate than a derivative needs, as it may be differentiated again.
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

    # The product stays differentiable by x and the parameters, for higher derivatives.
    product = lambda d: jax.jvp(lambda y: _gradient(y, problem), (x,), (d,))[1]  # noqa: E731
    return jax.lax.custom_linear_solve(product, right, solve, symmetric=True)


def check_closures(tangents):
    """Raise a `ValueError` if a derivative reaches the result other than by the problem."""
    if jax.tree.leaves(tangents):
        raise ValueError(
            "the metric or its score is a function that closes over a value to differentiate by, "
            "which the derivative of a geodesic cannot see. Pass that value as a field of an "
            "equinox module, or bound by jax.tree_util.Partial(score, ...), or in args."
        )


def _by_problem(function, problem, tangent):
    """The derivative of `function(problem)` along the tangent; None where there is no tangent."""
    if not jax.tree.leaves(tangent):
        return None
    return eqx.filter_jvp(function, (problem,), (tangent,))[1]


@eqx.filter_custom_jvp
def with_derivatives(known, function, offsets, problem: TwoPointProblem):
    """The `known` value of `function(problem, offsets)`, with its derivatives."""
    del function, offsets, problem
    return known


@with_derivatives.def_jvp
def _with_derivatives_jvp(primals, tangents):
    known, function, offsets, problem = primals
    *_, by_offsets, by_problem = tangents
    out = with_derivatives(known, function, offsets, problem)
    moving = by_offsets, by_problem
    if not jax.tree.leaves(moving):
        return out, jnp.zeros_like(out)
    apply = lambda offsets, problem: function(problem, offsets)  # noqa: E731
    return out, eqx.filter_jvp(apply, (offsets, problem), moving)[1]


@eqx.filter_custom_jvp
def implicit_energy(energy: Float[Array, ""], inner, problem: TwoPointProblem):
    """The energy at a minimiser; its first derivative takes no solve (envelope theorem)."""
    del inner, problem
    return energy


@implicit_energy.def_jvp
def _implicit_energy_jvp(primals, tangents):
    energy, inner, problem = primals
    *unexpected, tangent = tangents
    check_closures(unexpected)
    x = implicit_nodes(inner, problem)
    out = implicit_energy(energy, inner, problem)
    change = _by_problem(lambda p: p.energy(with_ends(x)), problem, tangent)
    return out, jnp.zeros_like(out) if change is None else change
