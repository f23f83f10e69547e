"""What a path's energy does to second order around it: Hessian products, and two uses of them.

`certify` asks whether a stationary path is a minimum, and `attach` gives the inner offsets of a
path that a solver has found their derivatives (`envelope` the energy its own), by the implicit
function theorem: with G the gradient of the energy by the inner offsets z, ``G(z, theta) = 0``
makes ``dz = -H^-1 (dG/dtheta) dtheta``, by preconditioned conjugate gradients. theta are the ends,
``args``, and every number in metric and score. Nothing of a solver's loop is differentiated.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._linalg import dot
from ..metrics import AbstractLowRankMetric
from . import _path_hessian as ph
from ._conjugate_gradients import truncated_cg
from ._linear_model import generic_weights
from ._problem import TwoPointProblem

_CERTIFY_STEPS = 20
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
    if isinstance(problem.metric, AbstractLowRankMetric):
        return ph.gradient(ph.linearise(problem, with_ends(inner))).reshape(inner.shape)
    return jax.grad(lambda offsets: problem.energy(with_ends(offsets)))(inner)


def _preconditioner(inner, problem: TwoPointProblem):
    """``H^-1`` roughly: by the Gauss-Newton Hessian where there is one, else by the stiffness."""
    offsets = with_ends(inner)
    if isinstance(problem.metric, AbstractLowRankMetric):
        model = ph.linearise(problem, offsets)
        factor = ph.factorise(model, ph.gram(model), jnp.zeros((), inner.dtype))
        flat = (len(inner), -1)
        return lambda r: ph.solve(model, factor, r.reshape(flat)).nodes.reshape(inner.shape)
    matrix = problem.basis(offsets).stiffness(generic_weights(problem, offsets))
    cholesky = jnp.linalg.cholesky(matrix)
    solve = lambda r: jax.scipy.linalg.cho_solve((cholesky, True), r)  # noqa: E731
    return lambda r: solve(r.reshape(len(r), -1)).reshape(r.shape)


def preparing(problem: TwoPointProblem, num_segments: int) -> tuple[int, int]:
    """Score evaluations and derivative products that `certify` takes before any product."""
    low_rank = isinstance(problem.metric, AbstractLowRankMetric)
    return problem.cost(num_segments) if low_rank else (0, 0)


def _product(inner, problem: TwoPointProblem):
    def product(d):
        return jax.jvp(lambda x: _gradient(x, problem), (inner,), (d,))[1]

    return product


def certify(problem: TwoPointProblem, offsets, active: Bool[Array, ""]):
    """Whether conjugate gradients on a generic right-hand side meet negative curvature there.

    They may not: a direction that is one of many, and weak, has a small share of the right-hand
    side, so that False is no proof of a minimum where there are tens of thousands of coordinates.

    **Returns:** that, and the number of Hessian products it took.
    """
    inner = offsets[1:-1]
    precondition = _preconditioner(inner, problem)
    probe = jax.random.normal(jax.random.key(0), inner.shape, inner.dtype)
    first = precondition(probe)
    found = truncated_cg(
        _product(inner, problem),
        precondition,
        probe,
        first,
        dot(probe, first),
        active=active & (len(inner) > 0),
        rtol=1e-2,
        max_steps=_CERTIFY_STEPS,
    )
    return found.negative, found.count


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
    precondition = _preconditioner(*held((x, problem)))
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
    product = _product(x, problem)
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
