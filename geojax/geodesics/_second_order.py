"""What a path's energy does to second order around it: Hessian products, and two uses of them.

`certify` asks whether a stationary path is a minimum, and `attach` gives the interior nodes of a
path that a solver has found their derivatives (`envelope` the energy its own), by the implicit
function theorem: with G the gradient of the energy by the interior nodes x, ``G(x, theta) = 0``
makes ``dx = -H^-1 (dG/dtheta) dtheta``, by preconditioned conjugate gradients. theta are the ends,
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
from ._problem import TwoPointProblem

_CERTIFY_STEPS = 20
_SOLVE_STEPS = 500
_SOLVED = 1e-4  # the residual, relative, of a derivative that is handed out


def held(tree):
    """The pytree, with no derivative by what it holds."""
    return jax.tree.map(lambda a: jax.lax.stop_gradient(a) if eqx.is_array(a) else a, tree)


def path(inner, ends):
    """The nodes of a path from its interior nodes and its two ends."""
    return jnp.concatenate([ends[0][None], inner, ends[1][None]])


def _gradient(inner, problem: TwoPointProblem, ends):
    """The derivative of the energy by the interior nodes, as the solver sees it."""
    if isinstance(problem.metric, AbstractLowRankMetric):
        return ph.gradient(ph.linearise(problem, path(inner, ends))).reshape(inner.shape)
    return jax.grad(lambda nodes: problem.energy(path(nodes, ends)))(inner)


def _preconditioner(inner, problem: TwoPointProblem, ends):
    """``H^-1`` roughly: by the Gauss-Newton Hessian where there is one, else by the Laplacian."""
    xs = path(inner, ends)
    if isinstance(problem.metric, AbstractLowRankMetric):
        model = ph.linearise(problem, xs)
        factor = ph.factorise(model, ph.gram(model), jnp.zeros((), xs.dtype))
        flat = (len(inner), -1)
        return lambda r: ph.solve(model, factor, r.reshape(flat)).nodes.reshape(inner.shape)
    taus = problem.taus(xs)
    return lambda r: ph.inverse_laplacian(taus, r.reshape(len(r), -1)).reshape(r.shape)


def preparing(problem: TwoPointProblem, num_segments: int) -> tuple[int, int]:
    """Score evaluations and derivative products that `certify` takes before any product."""
    low_rank = isinstance(problem.metric, AbstractLowRankMetric)
    return problem.cost(num_segments) if low_rank else (0, 0)


def _product(inner, problem: TwoPointProblem, ends):
    def product(d):
        return jax.jvp(lambda x: _gradient(x, problem, ends), (inner,), (d,))[1]

    return product


def certify(problem: TwoPointProblem, xs, active: Bool[Array, ""]):
    """Whether conjugate gradients on a generic right-hand side meet negative curvature at ``xs``.

    They may not: a direction that is one of many, and weak, has a small share of the right-hand
    side, so that False is no proof of a minimum where there are tens of thousands of coordinates.

    **Returns:** that, and the number of Hessian products it took.
    """
    inner, ends = xs[1:-1], (xs[0], xs[-1])
    precondition = _preconditioner(inner, problem, ends)
    probe = jax.random.normal(jax.random.key(0), inner.shape, inner.dtype)
    first = precondition(probe)
    found = truncated_cg(
        _product(inner, problem, ends),
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
def attach(inner: Float[Array, "inner *shape"], problem: TwoPointProblem, ends):
    """The interior nodes of a minimiser, with its derivatives by ``problem`` and ``ends``.

    Forward and reverse, of any order. NaN where the linear system was not solved: at a path that
    is no minimum there is no derivative.
    """
    del problem, ends
    return inner


@attach.def_jvp
def _attach_jvp(primals, tangents):
    inner, problem, ends = primals
    unexpected, *tangents = tangents
    check_closures(unexpected)
    x = attach(inner, problem, ends)
    right = _by_parameters(lambda p, e: _gradient(x, p, e), (problem, ends), tangents)
    if right is None:
        return x, jnp.zeros_like(x)
    return x, -_solve(x, problem, ends, right)


def _solve(x, problem, ends, right):
    """``H^-1 right``; NaN where conjugate gradients did not get there."""
    precondition = _preconditioner(*held((x, problem, ends)))
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
    product = _product(x, problem, ends)
    return jax.lax.custom_linear_solve(product, right, solve, symmetric=True)


def check_closures(tangents):
    """What a solver found is held: a derivative can reach it only behind the problem's back."""
    if jax.tree.leaves(tangents):
        raise ValueError(
            "the metric or its score is a function that closes over a value to differentiate by, "
            "which the derivative of a geodesic cannot see. Pass that value as a field of an "
            "equinox module, or bound by jax.tree_util.Partial(score, ...), or in args."
        )


def _by_parameters(function, primals, tangents):
    """The derivative of ``function(*primals)`` along ``tangents``; None where these are nothing."""
    if not jax.tree.leaves(tangents):
        return None
    return eqx.filter_jvp(function, tuple(primals), tuple(tangents))[1]


@eqx.filter_custom_jvp
def envelope(energy: Float[Array, ""], inner, problem: TwoPointProblem, ends):
    """The energy at a minimiser; its first derivative takes no solve (envelope theorem)."""
    del inner, problem, ends
    return energy


@envelope.def_jvp
def _envelope_jvp(primals, tangents):
    energy, inner, problem, ends = primals
    *unexpected, problem_tangent, ends_tangent = tangents
    check_closures(unexpected)
    x = attach(inner, problem, ends)
    out = envelope(energy, inner, problem, ends)
    change = _by_parameters(
        lambda p, e: p.energy(path(x, e)), (problem, ends), (problem_tangent, ends_tangent)
    )
    return out, jnp.zeros_like(out) if change is None else change
