"""The command line as a program of its own, with toy networks, digits and plans.

python -m tests.cli.process WHAT FOLDER NUMBER ARGUMENTS: the command, ended by `at_file`.
"""

import sys

import numpy as np

import geojax.models
from geojax.cli import app
from geojax.experiments import SyntheticPlan
from geojax.models import NETWORKS
from tests.processes import at_file

from .conftest import Pointwise

PLAN = SyntheticPlan(
    ("circle in R^2",), ("LERP", "SLERP"), ("straight line",), (0.1,), num_pairs=2, descents=()
)


def load_mnist(split="train", *, data_dir=None):
    """Twenty 8 x 8 pictures of each class."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 20)
    images = np.zeros((len(labels), 8, 8), np.uint8)
    images[np.arange(len(labels)), 4, labels % 8] = 255
    return images, labels


if __name__ == "__main__":
    SyntheticPlan.quick = classmethod(lambda cls: PLAN)
    NETWORKS["pointwise"] = Pointwise
    geojax.models.load_mnist = load_mnist
    at_file(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    app(sys.argv[4:])
