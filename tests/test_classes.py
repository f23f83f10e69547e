"""Classes are abstract or final: a method that is defined is not defined again, but for defaults.

A default is a method of an abstract class that is right for every subclass; a subclass replaces it
with one that is cheaper or says more, never with one that means something else. All of them are
named here with the reason.
"""

import importlib
import inspect
import pkgutil
from functools import cache

import geojax

_CLOSED_FORM = "right for every metric; structure makes it cheaper or exact"
_PRICE = "the price of a step, which depends on the solver"
_SHOWN = "what a result prints; every result has more"
DEFAULTS = {
    "AbstractConformalMetric.log_factor_gradient": "by differentiation; known for densities",
    "AbstractExperiment.piece": "a group; of characters, all that needs one model",
    "AbstractIterativeSolver.cost": _PRICE,
    "AbstractIterativeSolver.extra_cost": _PRICE,
    "AbstractIterativeSolver.output": "what a step leaves behind; a certificate adds to it",
    "AbstractIterativeSolver.rounding": "when an energy cannot fall; damped steps know it",
    "AbstractIterativeSolver.solve": "the loop; a minimiser of optax has its own",
    "AbstractIterativeSolver.solve_many": "the loop; a minimiser of optax has its own",
    "AbstractIterativeSolver.stalled": "never; damped solvers know it",
    "AbstractIterativeSolver.stepped": "the next state; a minimiser of optax has its own",
    "AbstractManifold._spread": "of a sample; known where there is a closed form",
    "AbstractManifold.noised": "of a sample; the sphere has a closed form",
    "AbstractMetric.acceleration": _CLOSED_FORM,
    "AbstractMetric.as_matrix": _CLOSED_FORM,
    "AbstractMetric.christoffel": _CLOSED_FORM,
    "AbstractMetric.christoffel_first": _CLOSED_FORM,
    "AbstractMetric.inner": _CLOSED_FORM,
    "AbstractMetric.log_det": _CLOSED_FORM,
    "AbstractMetric.plus": "a sum of any two; of two of low rank it has low rank",
    "AbstractMetric.sharp": _CLOSED_FORM,
    "AbstractMetric.squared_speeds": _CLOSED_FORM,
    "AbstractMetric.times": "a multiple of any; of one of low rank it has low rank",
    "AbstractPipeline.conditions": "none; a route between prompts has two",
    "AbstractPipeline.denoised": "the point itself; a route goes on to the image",
    "AbstractPipeline.ends": "the points themselves; a route draws one noise for both",
    "AbstractPipeline.noised": "the point itself; a route adds noise",
    "AbstractRule.fine": "how a path is priced once it is found",
    "AbstractRule.gradient_cost": _PRICE,
    "AbstractRule.scheme": "the polyline; a spline has another curve",
    "AbstractRule.squared_speeds": "by the metric's own; the points of a rule share a score",
    "AbstractScore.at": "the score at a level; a density has a value there too",
    "AbstractScore.denoised": "by Tweedie's formula; a flow has it without a division",
    "AbstractScore.needs_noise": "None; points and networks of noise have no score without noise",
    "AbstractScore.network_evaluations": "one; guidance takes two",
    "AbstractSolution._summary": _SHOWN,
    "AbstractSolution.figures": _SHOWN,
    "AbstractSolution.rows": _SHOWN,
    "AbstractSolution.title": _SHOWN,
    "AbstractSolver.solve_many": "one problem after the other; a loop takes them together",
    "AbstractSolver.unchecked": "itself; without a certificate where it has one",
    "AbstractSumOfSquaresMetric.plus": "a sum of squares; of two of low rank it has low rank",
    "AbstractSumOfSquaresMetric.roots": "root by root; structure makes it one evaluation",
    "AbstractSumOfSquaresMetric.squared_speeds": _CLOSED_FORM,
    "AbstractSumOfSquaresMetric.times": "a multiple; of one of low rank it has low rank",
}


@cache
def classes() -> list[type]:
    """The classes that geojax defines."""
    found = set()
    for module in pkgutil.walk_packages(geojax.__path__, "geojax."):
        if module.name != "geojax.__main__":
            members = vars(importlib.import_module(module.name)).values()
            found |= {c for c in members if inspect.isclass(c) and _is_ours(c)}
    return sorted(found, key=lambda c: (c.__module__, c.__qualname__))


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "geojax"


def _is_concrete(member) -> bool:
    method = callable(member) or isinstance(member, property | classmethod | staticmethod)
    return method and not getattr(member, "__isabstractmethod__", False)


def _overridden() -> list[tuple[type, type, str]]:
    """The class, its ancestor and the name of every concrete method that is defined again."""
    found = []
    for kind in classes():
        for name, member in vars(kind).items():
            ancestors = (c for c in kind.__mro__[1:] if _is_ours(c) and name in vars(c))
            base = next(ancestors, None)
            concrete = base is not None and _is_concrete(member) and _is_concrete(vars(base)[name])
            if concrete and not name.startswith("__"):
                found.append((kind, base, name))
    return found


def test_a_method_that_is_defined_again_is_a_default():
    found = {f"{base.__name__}.{name}" for _, base, name in _overridden()}
    assert found == DEFAULTS.keys()


def test_only_abstract_classes_have_methods_that_are_defined_again():
    for kind, base, name in _overridden():
        assert base.__name__.lstrip("_").startswith("Abstract"), (kind, base, name)
