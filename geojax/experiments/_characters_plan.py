"""The plan of the experiment of turned characters: models, rows and their order."""

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..models import GLYPHS
from ..models.latent import LATENT_CONFIG
from ._checks import check_known, check_least

SHAPINGS = ("neighbours", "labels", "none")

# By method: the metric, and the path that the solver starts from; None for methods without a solve.
METHODS: dict[str, tuple[str, str] | None] = {
    "LERP": None,
    "SLERP": None,
    "neighbour graph": None,
    "Stein": ("Stein", "LERP"),
    "Jacobian, from Stein": ("Jacobian", "Stein"),
    "norm + Jacobian, from Stein": ("norm + Jacobian", "Stein"),
    "Jacobian": ("Jacobian", "LERP"),
    "Jacobian, from the graph": ("Jacobian", "neighbour graph"),
    "Stein, from the graph": ("Stein", "neighbour graph"),
    "combined": ("combined", "LERP"),
    "combined, from Stein": ("combined", "Stein"),
    "combined, from the graph": ("combined", "neighbour graph"),
    "norm + Jacobian": ("norm + Jacobian", "LERP"),
    "norm + Jacobian, from the graph": ("norm + Jacobian", "neighbour graph"),
    "Stein, lam |s_mid|^2 = 100": ("Stein, 100", "LERP"),
    "Stein, from SLERP": ("Stein", "SLERP"),
    "Jacobian, from SLERP": ("Jacobian", "SLERP"),
    "NAO": None,
    "density flow": None,
    "string method": None,
    "Stein as published": None,
}
# By extrapolation: the method whose final velocity it takes; None if it follows no geodesic.
BEYOND: dict[str, str | None] = {
    "straight line": None,
    "tangent step": None,
    "score-guided walk": None,
    "exponential map, Stein": "Stein",
    "exponential map, Jacobian": "Jacobian, from Stein",
}
SEGMENTS = 64  # of a geodesic; half turns need so many
FITS = ("Euclidean", "Stein", "Jacobian", "norm + Jacobian")


@dataclasses.dataclass(frozen=True)
class CharactersPlan:
    """The plan of `run_characters`: every method on every model.

    The models are all combinations of components, shaping and seed. Each is trained on its own.

    **Arguments:**

    - `components`: of the latent space.
    - `shapings`: how the latent space is shaped: "neighbours" (by the graph of the pictures),
      "labels" (by angles) or "none".
    - `seeds`: of the trainings.
    - `angles`: the number of training angles, which are equally spaced. All end points and truths
      are at angles halfway between them.
    - `turns`: in degrees, of the pairs, one after the other.
    - `num_pairs`: drawn by `pair_seed`.
    - `methods`, `extrapolations`: names.
    - `beyond`: how far the extrapolations go past B, in degrees.
    - `num_fits`: the number of Fréchet means and of principal geodesics for each model and each of
      `fits`.
    - `frames`: from A to B and from B on, at equal steps of the angle.
    - `autoencoder_steps`, `denoiser_steps`, `shaping_weight`: of the trainings.
    """

    components: Sequence[int] = (8, 16, 32, 64)
    shapings: Sequence[str] = SHAPINGS
    seeds: Sequence[int] = (0, 1, 2)
    angles: int = 240
    turns: Sequence[int] = (60, 90, 120, 180)
    num_pairs: int = 16
    pair_seed: int = 0
    methods: Sequence[str] = tuple(METHODS)
    extrapolations: Sequence[str] = tuple(BEYOND)
    beyond: int = 90
    fits: Sequence[str] = FITS[:2]
    num_fits: int = 2
    frames: int = 11
    autoencoder_steps: int = 3000
    denoiser_steps: int = 5000
    shaping_weight: float = 0.3

    @classmethod
    def quick(cls) -> "CharactersPlan":
        """A plan of minutes on two cores: one model, trained briefly, and few pairs."""
        return cls(
            components=(8,),
            shapings=("neighbours",),
            seeds=(0,),
            num_pairs=4,
            num_fits=1,
            methods=(*tuple(METHODS)[:6], "density flow"),
            extrapolations=tuple(BEYOND)[:4],
            autoencoder_steps=2000,
            denoiser_steps=2500,
        )

    def of_pairs(self, num_pairs: int) -> "CharactersPlan":
        """The same plan with this number of pairs."""
        return dataclasses.replace(self, num_pairs=num_pairs)

    def check(self) -> None:
        """Check the plan; `ValueError` when it is not valid."""
        check_known("shaping", self.shapings, SHAPINGS)
        check_known("method", self.methods, METHODS)
        check_known("method", self.extrapolations, BEYOND)
        check_known("metric", self.fits, FITS)
        check_least(self, num_pairs=1, autoencoder_steps=1, denoiser_steps=1, frames=3)
        steps = [
            turn * self.angles / 360 / (self.frames - 1) for turn in (*self.turns, self.beyond)
        ]
        if any(step != round(step) or step < 1 for step in steps):
            raise ValueError(
                "the step between frames must be a whole number of training angles, so that all "
                f"frames lie halfway between two: {self.frames} frames of turns "
                f"{tuple(self.turns)} and {self.beyond} do not fit {self.angles} angles."
            )

    def models(self) -> list[dict[str, Any]]:
        """The settings of every model, in the order of training."""
        training = [self.angles, self.autoencoder_steps, self.denoiser_steps, self.shaping_weight]
        return [
            {"components": count, "shaping": shaping, "seed": seed, "training": training}
            for count in self.components
            for shaping in self.shapings
            for seed in self.seeds
        ]

    def rows(self, model: dict[str, Any]) -> list[dict[str, Any]]:
        """The settings of a model's rows: its own figures, paths, extrapolations, fits."""
        rows = [{"kind": "model", "method": None, "turn": None, "pair": None}]
        kinds = ("path", self.methods), ("beyond", self.extrapolations)
        for kind, methods in kinds:
            for method in methods:
                for pair in range(self.num_pairs):
                    turn = self.turns[pair % len(self.turns)]
                    rows.append({"kind": kind, "method": method, "turn": turn, "pair": pair})
        for kind in ("mean", "principal"):
            for method in self.fits:
                for pair in range(self.num_fits):
                    rows.append({"kind": kind, "method": method, "turn": None, "pair": pair})
        drawn = {"pair_seed": self.pair_seed, "frames": self.frames, "beyond": self.beyond}
        return [{**model, **drawn, "segments": SEGMENTS, **row} for row in rows]

    def config(self, model: dict[str, Any]) -> dict[str, Any]:
        """The config for the training of a model."""
        config = copy.deepcopy(LATENT_CONFIG)
        config["components"] = config["autoencoder"]["latent"] = model["components"]
        config["training"] |= {
            "autoencoder_steps": self.autoencoder_steps,
            "denoiser_steps": self.denoiser_steps,
            "shaping": 0.0 if model["shaping"] == "none" else self.shaping_weight,
            "seed": model["seed"],
        }
        return config

    def pair(self, number: int) -> tuple[str, float]:
        """A glyph and the angle of A, halfway between two training angles."""
        rng = np.random.default_rng([self.pair_seed, number])
        glyph = GLYPHS[rng.integers(len(GLYPHS))]
        return glyph, 360 / self.angles * (rng.integers(self.angles) + 0.5)
