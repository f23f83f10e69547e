"""Every solver drives a progress meter, in `geodesic` and in `geodesic_batch`; one segment
and no steps mean the same for all of them.
"""

from typing import Any, ClassVar

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix as optx
import pytest
from jax.experimental import io_callback

import geojax
from tests.geodesics.problems import Matrix
from tests.programs import compilations

A, B = jnp.array([0.3, 0.1]), jnp.array([-0.2, 0.4])
LOW_RANK = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
DENSE = geojax.DenseMetric(Matrix(LOW_RANK))
ADAM = optax.adam(1e-2)  # one object: each call of `adam` is another function
# Without exact curvature, which has no meter of its own and doubles the time to compile.
PLAIN = geojax.GaussNewton(curvature_steps=0)
SOLVERS = {
    "GaussNewton": PLAIN,
    "CoarseToFine": geojax.CoarseToFine(PLAIN, levels=2),
    "LambdaContinuation": geojax.LambdaContinuation(PLAIN, weights=(0.1,)),
    "Georce": geojax.Georce(),
    "Adam": geojax.PathEnergy(ADAM),
    "LBFGS": geojax.PathEnergy(),
    "NonlinearCG": geojax.PathEnergy(optx.NonlinearCG(1e-3, 1e-3)),
    "Shooting": geojax.Shooting(shots=2),
    "Shooting, least squares": geojax.Shooting(
        shots=2, root_finder=optx.LevenbergMarquardt(1e-6, 1e-6), dense=True
    ),
}


SHOOTING = [name for name in SOLVERS if name.startswith("Shooting")]  # 12 s to compile
OPTIONS: dict = {"num_segments": 4, "max_steps": 50, "diagnostics": "price", "throw": False}


def watched(name, end):
    """One program for each solver, whatever a test asks of it."""
    meter = Counting()
    return geojax.geodesic(LOW_RANK, A, end, solver=SOLVERS[name], progress_meter=meter, **OPTIONS)


class Counting(diffrax.AbstractProgressMeter):
    """Keeps what it is shown."""

    seen: ClassVar[list[tuple[str, float]]] = []

    def init(self) -> Any:
        return self._note("init", 0.0)

    def step(self, state: Any, progress: Any) -> Any:
        return state + self._note("step", progress)

    def close(self, state: Any) -> None:
        self._note("close", state)

    def _note(self, what, value):
        def keep(value):
            self.seen.append((what, float(np.max(value))))
            return np.zeros((), np.float64)

        return io_callback(keep, jax.ShapeDtypeStruct((), jnp.float64), value)


@pytest.fixture
def seen():
    Counting.seen.clear()
    yield Counting.seen
    Counting.seen.clear()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in SHOOTING else ()) for name in SOLVERS],
)
def test_every_solver_steps_the_meter(name, seen):
    found = jax.block_until_ready(watched(name, B))
    jax.effects_barrier()
    shown = [value for what, value in seen if what == "step"]
    assert len(shown) >= int(found.stats["num_steps"]) >= 1
    assert all(0 <= value <= 1 + 1e-6 for value in shown) and max(shown) > 0
    assert {what for what, _ in seen} == {"init", "step", "close"}
    # If a solver cannot count all of its evaluations, its figures show that.
    inexact = name.startswith("Shooting") or name == "NonlinearCG"
    assert ("counts_are_lower_bounds" in found.stats) == inexact


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GaussNewton", "LBFGS"])
def test_a_batch_shows_the_lanes_that_ended(name, seen):
    ends = jnp.stack([B, 0.9 * B, 0.8 * B])
    options = {"solver": SOLVERS[name], "batch_size": 2, **OPTIONS}
    batch = geojax.geodesic_batch(LOW_RANK, A, ends, progress_meter=Counting(), **options)
    jax.block_until_ready(batch)
    jax.effects_barrier()
    shown = [value for what, value in seen if what == "step"]
    assert len(shown) >= 2 and shown == sorted(shown) and shown[-1] == pytest.approx(1)
    np.testing.assert_allclose(batch.energy[2], watched(name, ends[2]).energy, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("metric", [LOW_RANK, DENSE], ids=["low rank", "dense"])
def test_one_segment_is_the_chord_for_every_solver_and_rule(metric):
    """There is no node to move: no solver is asked, whatever it demands of a path."""
    solvers = list(SOLVERS.values()) if metric is LOW_RANK else [None, SOLVERS["LBFGS"]]
    rules = [geojax.Midpoint(), geojax.Quadrature(3)][: 2 if metric is LOW_RANK else 1]
    options: dict = {"num_segments": 1, "discretisation_tolerance": 1.0, "throw": False}
    energy = lambda b: metric.inner((A + b) / 2, b - A, b - A) / 2  # noqa: E731

    @jax.jit
    def everything(b, step):
        def of(solver):
            chord = geojax.geodesic(
                metric, A, b, solver=solver, rule=rules[0], diagnostics="price", **options
            )
            return chord.energy, chord.stats["num_steps"], chord.successful

        def energies(rule):
            batch = geojax.geodesic_batch(metric, A, jnp.stack([b, A]), rule=rule, **options)
            return batch.energy, batch.start, batch.successful

        slope = jax.grad(lambda b: geojax.geodesic(metric, A, b, rule=rules[0], **options).energy)(
            b
        )
        difference = (energy(b + step) - energy(b - step)) / (2 * step[0])
        return list(map(of, solvers)), list(map(energies, rules)), energy(b), slope, difference

    chords, batches, exact, slope, difference = everything(B, jnp.array([1e-6, 0.0]))
    for found, num_steps, successful in chords:
        np.testing.assert_allclose(found, exact, rtol=1e-12)
        assert int(num_steps) == 0 and bool(successful)
    for found, start, successful in batches:
        np.testing.assert_array_equal(start, [A, A])
        assert float(found[1]) == 0 and np.all(successful)
    np.testing.assert_allclose(slope[0], difference, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["GaussNewton", "Adam", "LBFGS", pytest.param("Shooting", marks=pytest.mark.slow)]
)
def test_zero_steps_give_the_energy_of_the_initial_path(name):
    """max_steps=0 means the path that was given, for a solver of shots too."""
    init = jnp.stack([A, jnp.array([0.2, 0.5]), B])
    options = {**OPTIONS, "solver": SOLVERS[name], "max_steps": 0, "num_segments": 2}
    found = geojax.geodesic(LOW_RANK, A, B, init=init, **options)
    np.testing.assert_array_equal(found.curve.xs, init)
    assert not bool(found.successful) and "after 0 of 0 steps" in found.message


def test_equal_path_energies_share_a_program():
    """The default optimiser is no new function each time."""
    assert geojax.PathEnergy() == geojax.PathEnergy()
    assert hash(geojax.PathEnergy()) == hash(geojax.PathEnergy())
    watched("LBFGS", B)
    with compilations() as compiled:
        solver, meter = geojax.PathEnergy(), Counting()
        again = geojax.geodesic(LOW_RANK, A, B, solver=solver, progress_meter=meter, **OPTIONS)
        assert bool(again.successful)
    assert not compiled
