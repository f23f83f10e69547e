"""Pairwise distances by one device and by all; and by several processes, through a folder.

python -m tests.statistics.sharing WHAT NUMBER FOLDER [DISTRIBUTED]: ended by `at_file`.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np

from geojax import device_mesh, pairwise_distances
from geojax.cli._distributed import join
from tests.geodesics.problems import metric, on_circle
from tests.processes import at_file


def main(what: str, number: str, folder: str, distributed: str | None = None) -> None:
    jax.config.update("jax_enable_x64", True)
    at_file(what, folder, int(number))
    join(distributed, together=False)
    points = jnp.stack([on_circle(1.8 + 0.1 * i, 0.3 * i) for i in range(5)])
    options: dict = {"num_segments": 4, "discretisation_tolerance": 0.2, "batch_size": 2}
    options |= {"chunk_size": 4, "diagnostics": "price"}

    def found(**where):
        return pairwise_distances(metric(2.0, 0.5, 1.0), points, **options, **where)

    matrix = np.asarray(found(folder=folder).distances)
    if jax.process_count() == 1:
        # A mesh says where to compute: what was solved without one is not solved again.
        again = found(folder=folder, devices=device_mesh())
        np.testing.assert_array_equal(again.distances, matrix)
        np.testing.assert_allclose(found(devices=device_mesh()).distances, matrix, rtol=1e-9)
    print(f"{len(jax.local_devices())} devices found {matrix.tolist()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
