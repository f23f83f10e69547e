"""The default solver and rule."""

import jax.numpy as jnp
import optimistix as optx
from jaxtyping import Array

from ..metrics import AbstractMetric, AbstractSumOfSquaresMetric
from ._checks import Diagnostics, check_args, check_diagnostics, check_rule, check_solver
from ._gauss_newton import GaussNewton
from ._georce import Georce
from ._iterate import AbstractSolver
from ._newton import Newton
from ._path_energy import PathEnergy
from ._rules import AbstractRule, Midpoint, SplineGauss

_FEW = 100  # most coordinates for a Hessian of D x D blocks


def default_solver(metric: AbstractMetric, x: Array, rule: AbstractRule | None) -> AbstractSolver:
    """The default solver of `geodesic` for points like `x`.

    For a metric that is no sum of squares: the whole Hessian where the coordinates are few, else
    L-BFGS, which takes hundreds of steps where the former takes ten.
    """
    if isinstance(metric, AbstractSumOfSquaresMetric):
        return GaussNewton()
    if isinstance(rule, SplineGauss | Midpoint | None) and x.size <= _FEW:
        return Newton()
    tol = 1e-10 if x.dtype == jnp.float64 else 1e-6
    return PathEnergy(optimiser=optx.LBFGS(rtol=tol, atol=tol))


def solver_and_rule(
    metric: AbstractMetric, x: Array, args, solver, rule, diagnostics: Diagnostics = "full"
) -> tuple[AbstractSolver, AbstractRule]:
    """The solver and the rule, or their defaults for points like `x`.

    The solver makes no check of its own where `diagnostics` exclude it. Raise a `ValueError` where
    an option has a wrong type or is passed as a wrong argument.
    """
    check_args(args)
    if rule is not None:
        check_rule(rule)
    solver = default_solver(metric, x, rule) if solver is None else solver
    check_solver(solver)
    check_diagnostics(diagnostics)
    solver = solver if diagnostics == "full" else solver.unchecked()
    rule = default_rule(solver) if rule is None else rule
    return solver, rule


def default_rule(solver: AbstractSolver) -> AbstractRule:
    """The default rule of `geodesic`."""
    inner = getattr(solver, "solver", solver)
    return Midpoint() if isinstance(inner, Georce) else SplineGauss()
