"""Many two-point problems in one call."""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating, as_one_dtype
from .._functions import explained_derivatives
from .._numbers import number
from .._verdicts import or_raise
from ..metrics import AbstractMetric
from ._checks import Diagnostics, check_meter, derivative_remedy
from ._curve import resample
from ._default import solver_and_rule
from ._devices import map_lanes, over_devices
from ._geodesic import DISCRETISATION_TOLERANCE, check_points, geodesic
from ._iterate import AbstractSolver, Solved, one_segment
from ._problem import TwoPointProblem
from ._rules import AbstractRule
from ._second_order import stop_gradients
from ._solution import GeodesicSolution


def geodesic_batch(
    metric: AbstractMetric,
    x0: Numbers,
    x1: Numbers,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    args_axis: int | None = None,
    init: Numbers | None = None,
    batch_size: int = 16,
    num_segments: int = 16,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    diagnostics: Diagnostics = "full",
    throw: bool = True,
    progress_meter: diffrax.AbstractProgressMeter | None = None,
    devices: Mesh | None = None,
) -> GeodesicSolution:
    """Compute thousands of geodesics in one call: lane i goes from `x0[i]` to `x1[i]`.

    Use it instead of `jax.vmap` of [`geojax.geodesic`][] when lanes need different numbers of
    steps. `batch_size` lanes are stepped together. A lane that has ended, successfully or not,
    makes room for the next in the queue. So a slow or failing lane neither harms the others nor
    keeps them waiting. This holds for iterative solvers; a solver that has its own loop, such as an
    optimistix minimiser, runs one batch after the other. The function works inside `jax.jit`, and
    can be differentiated as `geodesic` can.

    **Arguments:**

    - `x0`, `x1`: shape `(lanes, *shape)`. One of them may be a single point for all lanes.
    - `args`: the same for all lanes; with `args_axis=0` every leaf has a leading axis of lanes.
    - `init`: nodes of an initial path for each lane, shape `(lanes, nodes, *shape)`.
    - `batch_size`: a few on a CPU, hundreds for a small score on an accelerator.
    - `throw`: raise when any lane did not succeed. The error names those lanes and gives the
      verdict of the first. Otherwise read `solution.successful` and `solution.messages`, one entry
      per lane.
    - `progress_meter`: shows the fraction of lanes that have ended.
    - `devices`: a [`geojax.device_mesh`][] over which the lanes are divided. Each device has its
      own queue with `batch_size` slots, and waits for the others only at the end.
    - the other options are those of `geodesic`.

    **Returns:**

    A [`geojax.GeodesicSolution`][] whose arrays all have a leading axis of lanes: `energy` and
    `length` of shape (lanes,), `curve.xs` of shape `(lanes, num_segments + 1, *shape)`.
    `solution[i]` is lane i, equal to what `geodesic` returns for it. `stats` count the work of each
    lane alone.

    **Raises:**

    - as `geodesic` does.
    - `ValueError`: when the points have no common axis of lanes; when `devices` is combined with a
      progress meter, or with a rule that also has `devices`.

    >>> import jax, jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> ends = jax.random.normal(jax.random.key(0), (20, 2))
    >>> batch = geojax.geodesic_batch(metric, jnp.array([1.0, 0.0]), ends)
    >>> print(str(batch).splitlines()[0])
    20 geodesics, 20 successful
    >>> batch[3].message
    'successful'
    """
    x0, x1 = _lanes(metric, x0, x1)
    for name, value in (("batch_size", batch_size), ("num_segments", num_segments)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    if max_steps < 0:
        raise ValueError(f"max_steps must be at least 0, got {max_steps}.")
    if args_axis not in (None, 0):
        raise ValueError(f"args_axis must be None or 0, got {args_axis}.")
    if args_axis == 0:
        for leaf in jax.tree.leaves(args):
            if jnp.ndim(leaf) == 0 or len(leaf) != len(x0):
                raise ValueError(
                    f"With args_axis=0 every leaf of args must have {len(x0)} lanes, got one of "
                    f"shape {jnp.shape(leaf)}."
                )
    if init is not None:
        init = as_floating("init", init, dtype=x0.dtype)
        lanes, shape = x0.shape[:1], x0.shape[1:]
        if init.shape[:1] + init.shape[2:] != lanes + shape or init.shape[1] < 2:
            raise ValueError(
                f"init must hold at least two nodes a lane, shape {(*lanes, 'nodes', *shape)}, "
                f"got {init.shape}."
            )
    solver, rule = solver_and_rule(metric, x0[0], args, solver, rule, diagnostics)
    meter = diffrax.NoProgressMeter() if progress_meter is None else progress_meter
    check_meter(meter)
    if devices is not None and rule.devices is not None:
        raise ValueError("devices must be given to geodesic_batch or to its rule, not to both.")
    if devices is not None and progress_meter is not None:
        raise ValueError("progress_meter must be None where lanes are shared out over devices.")
    tolerance = number("discretisation_tolerance", discretisation_tolerance).astype(x0.dtype)
    settings = num_segments, max_steps, tolerance, diagnostics, batch_size
    given = metric, x0, x1, solver, args, args_axis, init
    with explained_derivatives(derivative_remedy(metric)):
        solution = _solve_lanes(*given, rule, settings, meter, devices)
    return or_raise(solution) if throw else solution


@eqx.filter_jit
def _solve_lanes(
    metric, x0, x1, solver, args, args_axis, init, rule, settings, meter, devices
) -> GeodesicSolution:
    num_segments, max_steps, discretisation_tolerance, diagnostics, batch_size = settings
    by_lane = args if args_axis == 0 else None

    def solve(given):
        x0, x1, init, by_lane = given

        def args_of(lane):
            return args if args_axis is None else jax.tree.map(lambda leaf: leaf[lane], by_lane)

        def problem_of(lane):
            return stop_gradients(TwoPointProblem(metric, rule, args_of(lane), x0[lane], x1[lane]))

        def path(lane):
            if init is None:
                return jnp.zeros((num_segments + 1, *x0.shape[1:]), x0.dtype)
            return problem_of(lane).offsets(resample(init[lane], num_segments))

        lanes = jnp.arange(len(x0))
        paths = stop_gradients(jax.vmap(path)(lanes))
        if num_segments == 1:
            found = jax.vmap(lambda lane, path: one_segment(problem_of(lane), path))(lanes, paths)
        else:
            found = solver.solve_many(problem_of, paths, max_steps, batch_size, meter)

        def judge(lane_and_output):
            lane, output = lane_and_output
            return geodesic(
                metric,
                x0[lane],
                x1[lane],
                solver=Solved(output),
                args=args_of(lane),
                num_segments=num_segments,
                rule=rule,
                max_steps=max_steps,
                discretisation_tolerance=discretisation_tolerance,
                diagnostics=diagnostics,
                throw=False,
            )

        return map_lanes(judge, (lanes, found), batch_size)

    return over_devices(solve, (x0, x1, init, by_lane), devices)


def _lanes(metric, x0, x1) -> tuple[Float[Array, "lanes *shape"], Float[Array, "lanes *shape"]]:
    """Both ends with their axis of lanes."""
    x0, x1 = as_one_dtype(x0=x0, x1=x1)
    if x0.ndim < x1.ndim:
        x0 = jnp.broadcast_to(x0, (*x1.shape[:1], *x0.shape))
    elif x1.ndim < x0.ndim:
        x1 = jnp.broadcast_to(x1, (*x0.shape[:1], *x1.shape))
    x0, x1 = check_points(metric, x0=x0, x1=x1)
    if x0.ndim == 0 or len(x0) == 0:
        raise ValueError(f"x0 and x1 must hold at least one lane, got shape {x0.shape}.")
    return x0, x1
