"""Checks of the arguments of the solving functions, with the remedy in the message."""

from typing import Any, Literal, get_args

import diffrax
import optax
import optimistix as optx

from .._options import check_option, described
from ..metrics import AbstractLowRankMetric, AbstractMetric, AbstractPullbackMetric
from ._iterate import AbstractSolver
from ._rules import AbstractRule

Diagnostics = Literal["full", "price", "none"]


def check_metric(metric: Any) -> None:
    """Raise a `ValueError` unless `metric` is a metric."""
    remedy = "Wrap a score: SteinScoreMetric(score, lam)."
    check_option("metric", metric, AbstractMetric, "a geojax metric", remedy)


def check_args(args: Any) -> None:
    """Raise a `ValueError` if `args`, which are passed to the score, are an option by mistake."""
    solvers = AbstractSolver | diffrax.AbstractSolver | optx.AbstractMinimiser
    options = {
        "solver": solvers | optax.GradientTransformation,
        "rule": AbstractRule,
        "progress_meter": diffrax.AbstractProgressMeter,
    }
    for name, kind in options.items():
        if isinstance(args, kind):
            raise ValueError(
                f"args must be what the score is conditioned on, got {described(args)}. Pass it by "
                f"name: {name}=..."
            )


def check_solver(solver: Any) -> None:
    """Raise a `ValueError` unless `solver` solves two-point problems."""
    remedy = ""
    if isinstance(solver, optax.GradientTransformation | optx.AbstractMinimiser):
        remedy = "Wrap it: solver=PathEnergy(optimiser=...)."
    elif isinstance(solver, optx.AbstractRootFinder | optx.AbstractLeastSquaresSolver):
        remedy = "Wrap it: solver=Shooting(root_finder=...)."
    elif isinstance(solver, diffrax.AbstractSolver):
        remedy = "Wrap it: solver=Shooting(integrator=...); exponential_map takes it as it is."
    elif isinstance(solver, AbstractRule):
        remedy = "It is a rule: rule=..."
    wanted = "a geojax solver, such as GaussNewton() or PathEnergy()"
    check_option("solver", solver, AbstractSolver, wanted, remedy)


def check_rule(rule: Any) -> None:
    """Raise a `ValueError` unless `rule` is a quadrature rule."""
    remedy = "It is a solver: solver=..." if isinstance(rule, AbstractSolver) else ""
    wanted = "a geojax rule, such as SplineGauss() or Quadrature()"
    check_option("rule", rule, AbstractRule, wanted, remedy)


def check_integrator(solver: Any, name: str = "solver") -> None:
    """Raise a `ValueError` unless `solver` can integrate the geodesic equation."""
    remedy = ""
    if isinstance(solver, AbstractSolver):
        remedy = "It solves two-point problems: geodesic(metric, x0, x1, solver=...)."
    wanted = "an explicit Runge-Kutta method of diffrax, such as diffrax.Tsit5()"
    check_option(name, solver, diffrax.AbstractERK, wanted, remedy)


def check_diagnostics(diagnostics: Any) -> None:
    """Raise a `ValueError` unless `diagnostics` is one of the choices."""
    if diagnostics not in get_args(Diagnostics):
        choices = ", ".join(map(repr, get_args(Diagnostics)))
        raise ValueError(f"diagnostics must be one of {choices}, got {diagnostics!r}.")


def check_meter(meter: Any) -> None:
    """Raise a `ValueError` unless `meter` is a progress meter."""
    wanted = "a progress meter of diffrax, such as diffrax.TextProgressMeter()"
    check_option("progress_meter", meter, diffrax.AbstractProgressMeter, wanted)


def derivative_remedy(metric: AbstractMetric) -> str:
    """The remedy when `geodesic` needs a derivative that the functions of `metric` lack."""
    custom = (
        "Or give it one by jax.custom_jvp, which serves both modes (a diffrax solve: "
        "adjoint=diffrax.DirectAdjoint())."
    )
    if isinstance(metric, AbstractLowRankMetric):
        return (
            "A two-point solve takes no JVP with solver=GaussNewton(curvature_steps=0) and "
            "diagnostics='price'; with rule=Quadrature() too it takes no derivative, for a score "
            f"that is a gradient. {custom}"
        )
    if isinstance(metric, AbstractPullbackMetric):
        return f"G{custom.removeprefix('Or g')}"
    return (
        "A two-point solve takes no JVP with solver=PathEnergy(optimiser=optimistix.LBFGS(rtol=1e-6"
        f", atol=1e-6)) and diagnostics='price'. {custom}"
    )
