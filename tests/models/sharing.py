"""Training by one device and by all, of one process or of two.

python -m tests.models.sharing FOLDER [DISTRIBUTED]
"""

import sys
from pathlib import Path

import jax
import numpy as np

from geojax import device_mesh
from geojax.cli._distributed import join
from geojax.models import _train, train
from geojax.models.latent import _train as _latent
from geojax.models.latent import train_latent_model

from .latent.test_train import moving_dots, tiny
from .networks import blobs, tiny_config


def close(shared, alone) -> None:
    """But for what Adam, whose steps are of 0.005 here, makes of rounding errors in float32."""
    for a, b in zip(jax.tree.leaves(shared), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def watch(module) -> list[bool]:
    """Of the steps that the devices share, whether a program sums up gradients."""
    seen, run = [], module.run_steps

    def steps(state, *arguments):
        if len(state.step.sharding.device_set) > 1 and jax.process_count() == 1 and not any(seen):
            program = run.lower(state, *arguments).compile().compiled.as_text()
            seen.append("all-reduce" in program)
        return run(state, *arguments)

    module.run_steps = steps
    return seen


def main(folder: str, distributed: str | None = None) -> None:
    jax.config.update("jax_enable_x64", True)
    join(distributed, together=True)
    first, devices = jax.process_index() == 0, device_mesh()
    seen = [watch(module) for module in (_train, _latent)]
    own = Path(folder) / f"alone-{jax.process_index()}"
    shared = Path(folder) / "shared"

    def score(out, devices):
        options = {"num_steps": 2, "save_every": 1, "held_out": blobs(10), "devices": devices}
        return train(tiny_config(learning_rate=1e-2), *blobs(40), out, **options)

    def latent(out, devices):
        # 40 numbers, so that shares of a batch are not equal on eight devices
        config = tiny(2)
        config["training"]["denoiser_batch"] = 20
        return train_latent_model(config, moving_dots(), out, save_every=1, devices=devices)

    for name, trained in (("score", score), ("latent", latent)):
        losses: dict = {}
        found = [trained(out / name, mesh) for out, mesh in ((shared, devices), (own, None))]
        close(*found)
        assert all(a.sharding.device_set <= {*jax.local_devices()} for a in arrays(found[0]))
        if first:
            for part in (shared, own):
                losses[part] = (part / name / "loss.csv").read_text().splitlines()
            for a, b in zip(losses[shared][1:], losses[own][1:], strict=True):
                np.testing.assert_allclose(float(a.split(",")[-1]), float(b.split(",")[-1]), 1e-3)
    assert all(map(any, seen)) or jax.process_count() > 1
    print(f"trained on {devices.size} devices of {jax.process_count()} processes")


def arrays(tree) -> list[jax.Array]:
    return [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]


if __name__ == "__main__":
    main(*sys.argv[1:])
