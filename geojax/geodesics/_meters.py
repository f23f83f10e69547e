"""Progress meters for the solvers of optimistix, which have none."""

from typing import Any

import diffrax
import equinox as eqx
import jax.numpy as jnp
import optimistix as optx


class _Metered(eqx.Module):
    """Steps a meter beside the solver; its state is (the solver's, the meter's, steps so far)."""

    solver: Any
    meter: diffrax.AbstractProgressMeter
    max_steps: int = eqx.field(static=True)

    @property
    def rtol(self):
        return self.solver.rtol

    @property
    def atol(self):
        return self.solver.atol

    @property
    def norm(self):
        return self.solver.norm

    def init(self, fn, y, args, options, f_struct, aux_struct, tags):
        state = self.solver.init(fn, y, args, options, f_struct, aux_struct, tags)
        return state, self.meter.init(), jnp.asarray(0)

    def step(self, fn, y, args, options, state, tags):
        state, shown, count = state
        y, state, aux = self.solver.step(fn, y, args, options, state, tags)
        done = (count + 1) / max(self.max_steps, 1)
        shown = self.meter.step(shown, done.astype(jnp.result_type(float)))
        return y, (state, shown, count + 1), aux

    def terminate(self, fn, y, args, options, state, tags):
        return self.solver.terminate(fn, y, args, options, state[0], tags)

    def postprocess(self, fn, y, aux, args, options, state, tags, result):
        self.meter.close(state[1])
        return self.solver.postprocess(fn, y, aux, args, options, state[0], tags, result)


class _MeteredMinimiser(_Metered, optx.AbstractMinimiser):
    pass


class _MeteredRootFinder(_Metered, optx.AbstractRootFinder):
    pass


class _MeteredLeastSquares(_Metered, optx.AbstractLeastSquaresSolver):
    pass


def metered(solver: Any, meter: diffrax.AbstractProgressMeter, max_steps: int) -> Any:
    """The optimistix solver with a meter that shows the share of `max_steps` taken."""
    if isinstance(meter, diffrax.NoProgressMeter):
        return solver
    kinds = {
        optx.AbstractMinimiser: _MeteredMinimiser,
        optx.AbstractLeastSquaresSolver: _MeteredLeastSquares,
        optx.AbstractRootFinder: _MeteredRootFinder,
    }
    for kind, wrapper in kinds.items():
        if isinstance(solver, kind):
            return wrapper(solver, meter, max_steps)
    raise ValueError(f"progress_meter cannot watch a {type(solver).__name__}: leave it out.")


def unmetered(state: Any, solver: Any) -> Any:
    """The state of the solver alone."""
    return state[0] if isinstance(solver, _Metered) else state
