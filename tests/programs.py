"""Traced programs, for the tests that read them."""

import contextlib

import jax


def largest_array(jaxpr) -> int:
    """The size of the largest array that a program makes, inner programs included."""
    outputs = (out.aval for equation in equations(jaxpr) for out in equation.outvars)
    return max((getattr(aval, "size", 0) for aval in outputs), default=0)


def imprecise_products(jaxpr) -> list[str]:
    """The matrix products of a program that do not ask for the highest precision."""
    highest = (jax.lax.Precision.HIGHEST,) * 2
    return [
        str(equation)
        for equation in equations(jaxpr)
        if equation.primitive.name in ("dot_general", "conv_general_dilated")
        and equation.params["precision"] != highest
    ]


def equations(jaxpr):
    """Every equation of a program, inner programs included."""
    for equation in jaxpr.eqns:
        yield equation
        for leaf in jax.tree.leaves(equation.params, is_leaf=_is_program):
            if _is_program(leaf):
                yield from equations(getattr(leaf, "jaxpr", leaf))


def _is_program(leaf) -> bool:
    return hasattr(getattr(leaf, "jaxpr", leaf), "eqns")


@contextlib.contextmanager
def compilations():
    """Collects the programs that JAX compiles: a list that is empty where all were there before."""
    found = []

    def note(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
