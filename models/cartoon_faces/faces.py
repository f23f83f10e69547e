"""Cartoon faces by their parameters, drawn by `draw.mjs` (README.md lists its requirements)."""

import json
import subprocess
from pathlib import Path

import numpy as np
from scipy.stats import qmc

SIDE, FACES = 64, 3
NAMES = ("turn", "look")  # the continuous parameters, in this order everywhere
LOW, HIGH = np.array([0.0, -1.0]), np.array([360.0, 1.0])
BUILD = 0.5  # of every face


def draw(face, parameters) -> np.ndarray:
    """Pixels, shape (*some, 64, 64, 3), of faces, shape (*some), and parameters (*some, 2)."""
    parameters = np.asarray(parameters, float)
    faces = np.broadcast_to(face, parameters.shape[:-1])
    wanted = [
        {"face": int(f), "build": BUILD, **dict(zip(NAMES, map(float, p), strict=True))}
        for f, p in zip(faces.ravel(), parameters.reshape(-1, 2), strict=True)
    ]
    found = subprocess.run(
        ["node", Path(__file__).resolve().parent / "draw.mjs"],
        input=json.dumps({"side": SIDE, "faces": wanted}).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return np.frombuffer(found.stdout, np.uint8).reshape(*faces.shape, SIDE, SIDE, 3)


def training_parameters(number: int) -> np.ndarray:
    """Parameters that cover the whole range evenly: a scrambled Sobol sequence, shape
    `(number, 2)`.
    """
    points = qmc.Sobol(2, seed=0).random_base2(int(np.ceil(np.log2(number))))[:number]
    return LOW + points * (HIGH - LOW)
