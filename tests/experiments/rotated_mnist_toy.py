"""A Rotated MNIST experiment of closed forms: blots for digits, a Gaussian for a model.

Run as a script with folders, it runs the experiment in each, one after the other.
"""

import sys

import numpy as np

from geojax.experiments import Digits, Protocol, RotatedMnistPlan, run_rotated_mnist
from geojax.scores import AbstractScore, VPLinear

PLAN = RotatedMnistPlan(
    protocols=(
        Protocol("clean", noising="none", denoising="none", methods=("LERP", "SLERP"),
                 extrapolations=("straight line",)),
    ),
    deltas=(60, 180),
    num_pairs=12,
    frames=4,
    num_reference=70,
)  # fmt: skip


class Gaussian(AbstractScore):
    """Of mean zero and unit variance, whatever the noise."""

    schedule: VPLinear = VPLinear()

    def __call__(self, x, t, args=None):
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


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        run_rotated_mnist(PLAN, folder, digits=blots(), score=Gaussian())
