"""The end of the geodesic from a point with a velocity, and linear solves with its derivative.

The state is the displacement from the start and the velocity, both in units of the initial speed.
So the meaning of the tolerances depends neither on the unit nor on the origin. `differentiated`
gives the root v of `end(v; x0, metric, args) = x1` its derivatives by the implicit function
theorem. GMRES solves these equations with products of the end's derivative: integrations in forward
mode, and in reverse mode for the transposed equations. No Jacobian is formed.
"""

from functools import partial
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float

from .._linalg import unit_of
from ..metrics import AbstractMetric
from ._second_order import check_closures

_FIRST_STEP = 0.01  # of 1; the controller adapts it
_RESTART = 20  # vectors that GMRES keeps
_CYCLES = 20


def integrate(
    metric: AbstractMetric, x0, v0, args: Any, saveat: diffrax.SaveAt, **options: Any
) -> tuple[diffrax.Solution, Float[Array, ""]]:
    """The geodesic from `x0` with velocity `v0` over [0, 1]; `options` are those of diffrax.

    Returns a solution with the state `((x - x0) / unit, x' / unit)`, and the unit.
    """
    unit = unit_of(v0)

    def field(t, state, args):
        del t
        moved, v = state
        return v, metric.acceleration(x0 + unit * moved, unit * v, args) / unit

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(field),
        t0=0.0,
        t1=1.0,
        dt0=_FIRST_STEP,
        y0=(jnp.zeros_like(x0), v0 / unit),
        args=args,
        saveat=saveat,
        throw=False,
        **options,
    )
    return solution, unit


def displacement(
    metric: AbstractMetric, x0, v, args: Any, tol: float, adjoint: diffrax.AbstractAdjoint
) -> Float[Array, "*shape"]:
    """From `x0` to the end of the geodesic with velocity `v`; inf where it was not reached."""
    controller = diffrax.PIDController(rtol=tol, atol=tol)
    saveat = diffrax.SaveAt(ts=jnp.ones(1, x0.dtype))
    solver, options = diffrax.Tsit5(), {"adjoint": adjoint, "stepsize_controller": controller}
    solution, unit = integrate(metric, x0, v, args, saveat, solver=solver, **options)
    assert solution.ys is not None
    return unit * solution.ys[0][0]


def _velocity_change(free, fixed, v, tol: float, right):
    """w with `F_p p + F_v w = b`, for `right = (p, b)`; NaN where GMRES did not converge.

    F(p, v) is the end of the geodesic, where p stands for the arrays `free` of
    `(metric, x0, args)`, and `fixed` is the rest. p is among the unknowns of a triangular system,
    so that the solution of the transposed system contains its cotangents. The first derivative of F
    is taken in forward mode there and in reverse mode here, for which diffrax has two different
    adjoints. Hence the linear solve has an explicit transpose.
    """

    def end(adjoint):
        def end(free, v):
            metric, x0, args = eqx.combine(free, fixed)
            return x0 + displacement(metric, x0, v, args, tol, adjoint)

        return end

    def push(p, w):
        return jax.jvp(end(diffrax.ForwardMode()), (free, v), (p, w))[1]

    def solve(_, right):
        p, b = right
        b = b - push(p, jnp.zeros_like(b))
        nothing = jax.tree.map(jnp.zeros_like, p)
        return p, _gmres(lambda w: push(nothing, w), b, tol)

    def transpose_solve(_, right):
        p, c = right
        pull = jax.vjp(end(diffrax.RecursiveCheckpointAdjoint()), free, v)[1]
        u = _gmres(lambda u: pull(u)[1], c, tol)
        return jax.tree.map(jnp.subtract, p, pull(u)[0]), u

    # With `solve` and `transpose_solve` given, the product itself is used only for derivatives of
    # the solution by the quantities it depends on: second derivatives, which are refused.
    product = partial(_first_derivatives_only, (free, v))
    found = jax.lax.custom_linear_solve(product, right, solve, transpose_solve, symmetric=True)
    return found[1]


@jax.custom_jvp
def _first_derivatives_only(given, right):
    del given
    return right


@_first_derivatives_only.defjvp
def _refuse(primals, tangents):
    del primals, tangents
    raise ValueError(
        "log_map has first derivatives only. For second derivatives use those of the energy of "
        "geojax.geodesic, or log_map(..., max_corrections=0)."
    )


def _gmres(product, right, tol: float):
    """The solution of `product(w) = right`; NaN where GMRES did not converge."""
    size = jnp.max(jnp.abs(right))
    unit = jnp.where(size > 0, size, jnp.ones_like(size))
    operator = lx.FunctionLinearOperator(product, jax.eval_shape(lambda: right))
    # The products are as exact as the integration.
    solver = lx.GMRES(rtol=10 * tol, atol=10 * tol, restart=_RESTART, max_steps=_CYCLES)
    found = lx.linear_solve(operator, right / unit, solver, throw=False)
    return unit * jnp.where(found.result == lx.RESULTS.successful, found.value, jnp.nan)


@eqx.filter_custom_jvp
def differentiated(velocity: Float[Array, "*shape"], metric, x0, x1, args: Any, tol: float):
    """`velocity`, the root v of `end(v; x0, metric, args) = x1`, with its derivatives.

    They are by `metric`, `x0`, `x1` and `args`, forward and reverse. NaN where the equations could
    not be solved: at conjugate points the root has no derivative.
    """
    del metric, x0, x1, args, tol
    return velocity


@differentiated.def_jvp
def _differentiated_jvp(primals, tangents):
    _, metric, x0, x1, args, tol = primals
    unexpected, t_metric, t_x0, t_x1, t_args, _ = tangents
    check_closures(unexpected)
    v = differentiated(*primals)
    moved = (t_metric, t_x0, t_args)
    known = jax.tree.map(lambda t: t is not None, moved, is_leaf=lambda t: t is None)
    free, fixed = eqx.partition((metric, x0, args), known)
    right = (moved, jnp.zeros_like(x1) if t_x1 is None else t_x1)
    # A velocity that no solve has found is not integrated, as that would use all steps.
    found = jnp.all(jnp.isfinite(v))
    change = _velocity_change(free, fixed, jnp.where(found, v, 0.0), tol, right)
    return v, jnp.where(found, change, jnp.nan)
