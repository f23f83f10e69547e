"""The initial-value problem: the geodesic from a point with a velocity."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers
from .._functions import explained_derivatives
from .._linalg import safe_sqrt
from .._verdicts import or_raise
from ..metrics import AbstractLowRankMetric, AbstractMetric
from ._checks import check_args, check_integrator, check_meter
from ._curve import IntegratedCurve
from ._geodesic import check_points
from ._results import RESULTS
from ._shot import integrate
from ._solution import GeodesicSolution

_DENSE_NUMBERS = 2**24  # largest size of the dense output by default


@explained_derivatives()
def exponential_map(
    metric: AbstractMetric,
    x0: Numbers,
    v0: Numbers,
    args: Any = None,
    *,
    num_segments: int = 32,
    solver: diffrax.AbstractERK | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    max_steps: int = 4096,
    drift_tolerance: float = 1e-2,
    dense: bool | None = None,
    adjoint: diffrax.AbstractAdjoint | None = None,
    throw: bool = True,
    progress_meter: diffrax.AbstractProgressMeter | None = None,
) -> GeodesicSolution:
    """Integrate the geodesic `x(t)` with `x(0) = x0`, `x'(0) = v0` over t in [0, 1].

    Its end `solution.curve.xs[-1]` is `exp_x0(v0)`. Use it to go on beyond a point, or to follow a
    direction; to go further, scale v0. diffrax integrates adaptively, and no Christoffel symbols
    are formed (`AbstractMetric.acceleration`).

    **Arguments:**

    - `x0`, `v0`: of one shape (any).
    - `num_segments`: the number of pieces between the reported nodes. The accuracy does not depend
      on it.
    - `solver`: an explicit Runge-Kutta method of diffrax, default `Tsit5()`.
    - `rtol`, `atol`: tolerances of the integration, default 1e-8 in float64, 1e-5 in float32. Both
      are relative to the motion: `rtol` to the displacement x - x0 and to x', coordinate by
      coordinate; `atol` to the root mean square of the coordinates of v0. So neither the unit of
      the data nor the place of the origin matters.
    - `max_steps`: the largest number of integration steps.
    - `dense`: keep diffrax's dense output, so that `curve.evaluate` is as accurate as the
      integration. It has about 18 `max_steps` D numbers, however few steps are taken. None: kept up
      to 2^24 numbers (D = 228). Without it the curve is cubic between the nodes, accurate to the
      fourth order of 1 / `num_segments`. Nodes and ends are the same.
    - `adjoint`: how diffrax differentiates the integration, by x0, v0, `args` and every number in
      the metric and its score; accurate to the integration's tolerances. None: reverse mode
      (`diffrax.RecursiveCheckpointAdjoint()`). `diffrax.ForwardMode()` is for forward mode,
      `diffrax.DirectAdjoint()` for both, more slowly.
    - `drift_tolerance`: the largest relative drift of g(x', x'), which is constant along a
      geodesic.
    - `throw`: raise when the integration did not succeed; else read `solution.result`.
    - `progress_meter`: a diffrax meter, for example `diffrax.TextProgressMeter()`.

    **Returns:**

    A [`geojax.GeodesicSolution`][]. Nodes that the integration did not reach are inf. Its `stats`
    are:

    - `num_steps`: accepted and rejected steps.
    - `score_evaluations` and `score_products` (JVPs and VJPs). After a rejected first step, diffrax
      evaluates its acceleration again, which is not counted.
    - `energy_drift`: the largest relative deviation of g(x', x') from its initial value, at the
      nodes.
    - `speed_defect`: the largest relative deviation of the speed from its initial value.

    **Raises:**

    - `ValueError`: on mismatched shapes or impossible tolerances.
    - [`geojax.GeodesicError`][]: with the figures and the remedy, when the integration did not
      succeed and `throw` is True.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> x0, v0 = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
    >>> solution = geojax.exponential_map(metric, x0, v0)
    >>> bool(solution.stats["energy_drift"] < 1e-4)
    True
    """
    x0, v0 = check_points(metric, x0=x0, v0=v0)
    check_args(args)
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance is not None and not 0 < tolerance < 1:
            raise ValueError(f"{name} must lie between 0 and 1, or be None, got {tolerance}.")
    if num_segments < 1:
        raise ValueError(f"num_segments must be at least 1, got {num_segments}.")
    default = 1e-8 if x0.dtype == jnp.float64 else 1e-5
    controller = diffrax.PIDController(rtol=rtol or default, atol=atol or default)
    solver = diffrax.Tsit5() if solver is None else solver
    check_integrator(solver)
    meter = diffrax.NoProgressMeter() if progress_meter is None else progress_meter
    check_meter(meter)
    if dense is None:
        dense = 2 * (_stages(solver) + 2) * max_steps * x0.size <= _DENSE_NUMBERS
    adjoint = diffrax.RecursiveCheckpointAdjoint() if adjoint is None else adjoint
    options = max_steps, drift_tolerance, dense, adjoint, meter
    solution = _integrate(metric, x0, v0, args, num_segments, solver, controller, *options)
    return or_raise(solution) if throw else solution


class _Dense(eqx.Module):
    """diffrax's dense output in the units of the points."""

    interpolation: Any
    origin: Float[Array, "*shape"]
    unit: Float[Array, ""]

    def evaluate(self, t):
        """Position and velocity at `t`."""
        moved, v = self.interpolation.evaluate(t)
        return self.origin + self.unit * moved, self.unit * v


@eqx.filter_jit
def _integrate(
    metric, x0, v0, args, num_segments, solver, controller, max_steps, drift_tolerance, dense,
    adjoint, meter,
) -> GeodesicSolution:  # fmt: skip
    ts = jnp.linspace(0, 1, num_segments + 1, dtype=x0.dtype)
    out, unit = integrate(
        metric,
        x0,
        v0,
        args,
        diffrax.SaveAt(ts=ts, dense=dense),
        solver=solver,
        stepsize_controller=controller,
        max_steps=max_steps,
        adjoint=adjoint,
        progress_meter=meter,
    )
    assert out.ys is not None
    xs, vs = x0[None] + unit * out.ys[0], (unit * out.ys[1]).at[0].set(v0)
    squared = jax.vmap(lambda x, v: metric.inner(x, v, v, args))(xs, vs)
    start = jnp.where(squared[0] > 0, squared[0], 1.0)
    drift = jnp.max(jnp.abs(squared - squared[0])) / start
    speeds = safe_sqrt(squared)
    defect = jnp.max(jnp.abs(speeds - speeds[0])) / jnp.sqrt(start)
    result = RESULTS.where(drift <= drift_tolerance, RESULTS.successful, RESULTS.energy_drift)
    ended = out.result == diffrax.RESULTS.successful
    result = RESULTS.where(ended, result, RESULTS.integration_stopped)
    defined = jnp.all(jnp.isfinite(metric.acceleration(x0, v0, args))) & jnp.isfinite(squared[0])
    result = RESULTS.where(defined, result, RESULTS.non_finite)
    steps = out.stats["num_steps"]
    stages = accelerations(solver, steps) + 1  # one is the check above
    evaluations, products, for_inner = acceleration_cost(metric)
    stats = {
        "num_steps": steps,
        "score_evaluations": evaluations * stages + for_inner * (num_segments + 1),
        "score_products": products * stages,
        "energy_drift": drift,
        "speed_defect": defect,
    }
    curve = IntegratedCurve(ts, xs, vs, _Dense(out.interpolation, x0, unit) if dense else None)
    limits = {
        "num_steps": jnp.asarray(max_steps),
        "energy_drift": jnp.asarray(drift_tolerance, x0.dtype),
    }
    return GeodesicSolution(
        curve=curve,
        energy=squared[0] / 2,
        length=speeds[0],
        initial_velocity=v0,
        final_velocity=vs[-1],
        result=result,
        stats=stats,
        limits=limits,
    )


def accelerations(solver: diffrax.AbstractERK, num_steps):
    """The number of accelerations in an integration; a first-same-as-last method needs one more."""
    tableau = solver.tableau
    assert isinstance(tableau, diffrax.ButcherTableau)
    first_same_as_last = int(tableau.fsal)
    return (_stages(solver) - first_same_as_last) * num_steps + first_same_as_last


def _stages(solver: diffrax.AbstractERK) -> int:
    assert isinstance(solver.tableau, diffrax.ButcherTableau)
    return solver.tableau.num_stages


def acceleration_cost(metric: AbstractMetric) -> tuple[int, int, int]:
    """Score evaluations and derivative products of one acceleration, evaluations of one `inner`.

    A score inside a JVP and again inside a VJP counts as two evaluations. For a metric that is not
    built from scores, its own evaluations are counted.
    """
    if not isinstance(metric, AbstractLowRankMetric):
        return 3, 2, 1
    conservative = metric.terms().conservative
    each = sum(1 if c else 2 for c in conservative)
    return each, each, len(conservative)
