"""A tiny untrained model, the command line run in process, and two pictures to give it."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from geojax.cli import app
from geojax.models import ROTATED_MNIST_CONFIG, build_score, save_checkpoint
from tests.models.networks import random_weights

TINY = {"name": "image_unet", "channels": 1, "widths": [4], "num_blocks": 1, "num_middle": 1}
TINY |= {"num_classes": 10, "patch": 2, "embed_width": 4, "heads": 1, "frequencies": 2}
SHAPE = (1, 8, 8)
QUICK = ["--segments", "4", "--frames", "3", "--denoise-steps", "2", "--lam", "0.1"]


def tiny_config():
    """The config of a network of a few hundred weights."""
    config = json.loads(json.dumps(ROTATED_MNIST_CONFIG))
    config["network"], config["shape"] = dict(TINY), list(SHAPE)
    config["training"] |= {"batch_size": 4, "warmup_steps": 1}
    return config


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    config = tiny_config()
    save_checkpoint(folder, random_weights(build_score, config), config)
    return folder


@pytest.fixture
def geojax_command():
    """Runs a command; **returns** typer's result with ``stdout``, ``stderr`` and ``exit_code``."""

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
