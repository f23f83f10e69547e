"""Traced programs, for the tests that read them."""

import jax


def largest_array(jaxpr) -> int:
    """The size of the largest array that a program makes, inner programs included."""
    sizes = [0]
    for equation in jaxpr.eqns:
        sizes += [getattr(out.aval, "size", 0) for out in equation.outvars]
        for leaf in jax.tree.leaves(equation.params, is_leaf=_is_program):
            if _is_program(leaf):
                sizes.append(largest_array(getattr(leaf, "jaxpr", leaf)))
    return max(sizes)


def _is_program(leaf) -> bool:
    return hasattr(getattr(leaf, "jaxpr", leaf), "eqns")
