"""A path and a batch by one device and by all: run as a program, for each process of several.

python -m tests.geodesics.sharing DEVICES [ADDRESS PROCESSES PROCESS]
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

import geojax
from geojax.interpolation._pictures import pictures
from geojax.scores import DataPrediction


def compare() -> None:
    """What a mesh over all devices makes of the same calls is what one device makes of them."""
    ring = geojax.Shell(jnp.asarray(2.0), jnp.asarray(0.5))
    metric = geojax.SteinScoreMetric(ring, jnp.asarray(1.0))
    angles = jnp.linspace(0.4, 1.8, 5)
    starts = jnp.tile(jnp.asarray([[2.0, 0.0]]), (5, 1))
    ends = 2 * jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    devices = geojax.device_mesh()
    # Without exact curvature, which would take most of the time to compile.
    solver = geojax.GaussNewton(curvature_steps=0)
    options: dict = {"num_segments": 7, "solver": solver, "diagnostics": "price"}

    @jax.jit
    def path(end):
        """Seven segments, which no number of devices divides; in the user's own program."""

        def of(rule, devices):
            rule = rule(batch_size=2, devices=devices)
            return geojax.geodesic(metric, starts[0], end, rule=rule, throw=False, **options)

        rules = geojax.Midpoint, geojax.Quadrature
        return [(of(rule, None), of(rule, devices)) for rule in rules]

    (alone, shared), forward_only = path(ends[3])
    assert_equal(*forward_only)
    rule = geojax.Midpoint()
    batch = geojax.geodesic_batch(
        metric, starts, ends, rule=rule, batch_size=2, devices=devices, **options
    )
    assert bool(jnp.all(batch.result == geojax.RESULTS.successful))
    for found in (shared, batch[3]):
        assert len(found.energy.sharding.device_set) == devices.size
        assert_equal(found, alone)


def compare_gradients() -> None:
    """By an end-point and by a number in the score: what the devices hold in common."""

    @jax.jit
    def gradients(end, width):
        def length(end, width, devices):
            metric = geojax.SteinScoreMetric(geojax.Shell(jnp.asarray(2.0), width), 1.0)
            rule, solver = geojax.Midpoint(devices=devices), geojax.GaussNewton(curvature_steps=0)
            options = {"rule": rule, "solver": solver, "num_segments": 7, "diagnostics": "price"}
            return geojax.distance(metric, jnp.asarray([2.0, 0.0]), end, throw=False, **options)

        return [jax.grad(length, (0, 1))(end, width, d) for d in (geojax.device_mesh(), None)]

    assert_equal(*gradients(jnp.asarray([0.5, 1.8]), jnp.asarray(0.5)))


def compare_pictures() -> None:
    """Points denoised and decoded in blocks of two for each device, the last one not full."""
    score = DataPrediction(lambda x, t, args: 0.3 * jnp.tanh(x) + args, geojax.ScaledLinear())
    points, shares = jax.random.normal(jax.random.key(0), (19, 3)), np.linspace(0, 1, 19)

    def drawn(devices):
        rule = geojax.Midpoint(batch_size=2, devices=devices)
        conditions = jnp.zeros(3), jnp.ones(3)
        route = geojax.NoiseRoute(
            score, t=0.4, num_steps=3, between=conditions, decoder=lambda z: 2 * z
        )
        return pictures(route, rule, points, shares)

    found = [drawn(devices) for devices in (geojax.device_mesh(), None)]
    assert_equal(*found)


def assert_equal(shared, alone) -> None:
    leaves = zip(jax.tree.leaves(shared), jax.tree.leaves(alone), strict=True)
    for one, other in leaves:
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-9, atol=1e-12)


def main(devices: int, address: str = "", processes: int = 1, process: int = 0) -> None:
    jax.config.update("jax_num_cpu_devices", devices)
    jax.config.update("jax_enable_x64", True)
    if processes > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, processes, process)
    assert len(jax.devices()) == devices * processes
    compare()
    compare_pictures()
    if processes == 1:
        compare_gradients()
    print(f"equal on {len(jax.devices())} devices of {jax.process_count()} processes")


if __name__ == "__main__":
    numbers = [int(number) for number in sys.argv[3:]]
    main(int(sys.argv[1]), *sys.argv[2:3], *numbers)
