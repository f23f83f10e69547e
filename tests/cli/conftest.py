"""A tiny untrained model, the command line run in process, and two pictures to give it."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from geojax.cli import app
from geojax.models import NETWORKS, ROTATED_MNIST_CONFIG, build_score, save_checkpoint
from tests.models.networks import random_weights

SHAPE = (1, 8, 8)
QUICK = ["--segments", "4", "--frames", "3", "--denoise-steps", "2", "--lam", "0.05"]


class Pointwise(eqx.Module):
    """A network that treats each pixel alone, float32 like the U-Net but quick to compile."""

    shifts: jax.Array
    num_classes: int = eqx.field(static=True)

    def __init__(self, *, num_classes, key):
        self.shifts = jax.random.normal(key, (num_classes + 1,), jnp.float32)
        self.num_classes = num_classes

    def __call__(self, x, t, label=None):
        shift = self.shifts[self.num_classes if label is None else label]
        return (0.3 * jnp.tanh(x.astype(jnp.float32) + shift)).astype(x.dtype)


def tiny_config():
    """The bundled model's config with a network of eleven weights."""
    config = json.loads(json.dumps(ROTATED_MNIST_CONFIG))
    config["network"] = {"name": "pointwise", "num_classes": 10}
    config["shape"] = list(SHAPE)
    config["training"] |= {"batch_size": 4, "warmup_steps": 1}
    return config


@pytest.fixture(autouse=True)
def _network(monkeypatch):
    monkeypatch.setitem(NETWORKS, "pointwise", Pointwise)


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "model"
    config = tiny_config()
    save_checkpoint(folder, random_weights(build_score, config), config)
    return folder


@pytest.fixture
def geojax_command():
    """Runs a command; **returns** typer's result with `stdout`, `stderr` and `exit_code`."""

    def run(*arguments):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def pictures(tmp_path):
    """Two grey 8 x 8 PNG files: a bright square on the left, one on the right."""
    paths = []
    for name, columns in (("a", slice(1, 4)), ("b", slice(4, 7))):
        pixels = np.zeros(SHAPE[1:], np.uint8)
        pixels[2:6, columns] = 255
        paths.append(tmp_path / f"{name}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths
