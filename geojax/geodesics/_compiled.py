"""The two-point problem, compiled ahead of time."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from .._arrays import Numbers, as_floating
from .._functions import explained_derivatives
from .._verdicts import or_raise
from ..metrics import AbstractMetric
from ._checks import Diagnostics, derivative_remedy
from ._default import solver_and_rule
from ._geodesic import DISCRETISATION_TOLERANCE, check_points, geodesic
from ._iterate import AbstractSolver
from ._problem import TwoPointProblem
from ._rules import AbstractRule
from ._solution import GeodesicSolution


def compile_geodesic(
    metric: AbstractMetric,
    x: Numbers,
    args: Any = None,
    *,
    solver: AbstractSolver | None = None,
    num_segments: int = 16,
    ts: Numbers | None = None,
    rule: AbstractRule | None = None,
    max_steps: int = 200,
    discretisation_tolerance: Numbers = DISCRETISATION_TOLERANCE,
    diagnostics: Diagnostics = "full",
) -> Callable[..., GeodesicSolution]:
    """Compile the two-point solve ahead of time, for any two points like `x`.

    Use it where no call may wait for a compilation, as in a server or a timing.

    **Arguments:**

    - `x`: a point with the shape and dtype of the end-points to come.
    - `metric`, `args` and the options: as for [`geojax.geodesic`][]. `init` and `throw` are
      arguments of the returned function.

    **Returns:**

    `solve(x0, x1, *, args=args, init=None, throw=True)`, which returns a
    [`geojax.GeodesicSolution`][] and never compiles. `init` has `num_segments + 1` nodes. The
    memory of the initial path is reused for the path that is found. The arrays of the metric are on
    the device once, for all calls.

    **Raises:**

    - as `geodesic` does.
    - `ValueError`: from `solve`, when points, `args` or nodes have other shapes or dtypes than
      those that it was compiled for.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(geojax.Shell(radius=2.0, width=0.25), lam=1.0)
    >>> solve = geojax.compile_geodesic(metric, jnp.zeros(2), num_segments=16)
    >>> a = jnp.array([2.0, 0.0])
    >>> print([f"{solve(a, b).length:.2f}" for b in jnp.array([[0.0, 2.0], [-0.8, 1.8]])])
    ['3.02', '3.77']
    """
    (x,) = check_points(metric, x=x)
    solver, rule = solver_and_rule(metric, x, args, solver, rule, diagnostics)
    path = jnp.broadcast_to(x, (num_segments + 1, *x.shape))
    options = {
        "ts": ts,
        "rule": rule,
        "max_steps": max_steps,
        "discretisation_tolerance": discretisation_tolerance,
        "diagnostics": diagnostics,
    }
    given = metric, solver, options
    with explained_derivatives(derivative_remedy(metric)):
        compiled = _between.lower((given, args), path).compile()

    def solve(
        x0: Numbers,
        x1: Numbers,
        *,
        args: Any = args,
        init: Numbers | None = None,
        throw: bool = True,
    ) -> GeodesicSolution:
        x0, x1 = check_points(metric, x0=x0, x1=x1)
        line = TwoPointProblem(metric, rule, None, x0, x1)
        nodes = line.nodes(jnp.zeros((num_segments + 1, *x0.shape), x0.dtype))
        if init is not None:
            nodes = nodes.at[1:-1].set(as_floating("init", init, dtype=nodes.dtype)[1:-1])
        if (nodes.shape, nodes.dtype) != (path.shape, path.dtype):
            raise ValueError(
                f"x0 and x1 must have shape {x.shape} and dtype {x.dtype}, for which the solve was "
                f"compiled, got shape {x0.shape} and dtype {x0.dtype}."
            )
        solution = compiled((given, args), nodes)
        return or_raise(solution) if throw else solution

    return solve


@eqx.filter_jit(donate="all-except-first")
def _between(given, path: Array) -> GeodesicSolution:
    (metric, solver, options), args = given
    num_segments = len(path) - 1
    return geodesic(
        metric,
        path[0],
        path[-1],
        args,
        solver=solver,
        init=path,
        num_segments=num_segments,
        throw=False,
        **options,
    )
