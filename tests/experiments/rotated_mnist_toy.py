"""A Rotated MNIST experiment of closed forms: blots for digits, a Gaussian for a model.

Run as a script with a number and folders, it runs the experiment in each folder, one after the
other, and is killed as that row would be put in its place; 0: never.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from geojax.experiments import Digits, Protocol, RotatedMnistPlan, run_rotated_mnist
from geojax.scores import AbstractScore, VPLinear

PLAN = RotatedMnistPlan(
    protocols=(
        Protocol("clean", noising="none", denoising="none", methods=("LERP", "SLERP"),
                 extrapolations=("straight line",)),
    ),
    deltas=(60, 180),
    num_pairs=4,
    frames=4,
    num_reference=70,
)  # fmt: skip


class Gaussian(AbstractScore):
    """Of mean zero and unit variance, whatever the noise."""

    schedule: VPLinear = VPLinear()

    def evaluate(self, x, t, args):
        return -x


def blots() -> Digits:
    """Three random bright rectangles in each image; the labels are 0 ... 9."""
    rng = np.random.default_rng(0)
    images = np.zeros((100, 28, 28), np.uint8)
    for image in images:
        for _ in range(3):
            top, left = rng.integers(6, 18, 2)
            image[top : top + rng.integers(2, 8), left : left + rng.integers(2, 8)] = 255
    return Digits(images, np.arange(100, dtype=np.uint8) % 10)


def kill_at_row(number: int) -> None:
    """Ends this process, as a power cut would, between writing a row and giving it its name."""
    replace, rows = os.replace, []

    def dying(source, target):
        if Path(target).parent.name == "rows" and Path(target).suffix == ".json":
            rows.append(target)
            if len(rows) == number:
                os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = dying


if __name__ == "__main__":
    kill_at_row(int(sys.argv[1]))
    for folder in sys.argv[2:]:
        run_rotated_mnist(PLAN, folder, digits=blots(), score=Gaussian())
