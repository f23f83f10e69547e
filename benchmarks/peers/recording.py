"""The run of a peer: snapshots of the path against time and score evaluations.

This imports only numpy, because it runs in the peers' environments.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

_SPACING = 1.25  # between snapshots, in time


class OutOfTime(Exception):
    """The run has reached its limit; the recorded snapshots stay."""


class Recorder:
    """Stores paths at growing intervals. Its own time is not counted."""

    def __init__(self, limit: float):
        self.limit, self.evaluations, self.rows = limit, 0, []
        self._start, self._paused, self._next = time.perf_counter(), 0.0, 0.0

    def elapsed(self) -> float:
        return time.perf_counter() - self._start - self._paused

    def record(self, path: Callable[[], np.ndarray], last: bool = False) -> None:
        """Take a snapshot of `path()` if one is due."""
        elapsed = self.elapsed()
        if last or elapsed >= self._next:
            entered = time.perf_counter()
            self.rows.append((elapsed, self.evaluations, np.array(path(), dtype=float)))
            self._next = _SPACING * elapsed
            self._paused += time.perf_counter() - entered
        if elapsed > self.limit and not last:
            raise OutOfTime

    def arrays(self) -> dict[str, np.ndarray]:
        seconds, evaluations, paths = zip(*self.rows, strict=True)
        return {
            "seconds": np.array(seconds),
            "evaluations": np.array(evaluations),
            "paths": np.array(paths),
        }


def ring_score(x, problem, np):
    """The score of the ring at points (n, D), in the array module `np`."""
    inside = x @ problem["embedding"].T
    r = np.sqrt((inside**2).sum(-1))[:, None]
    nearest = (problem["radius"] / r * inside) @ problem["embedding"]
    return (nearest - x) / problem["width"] ** 2


def main(solve: Callable[[dict, Recorder], str], versions: dict[str, str]) -> None:
    """Solve the problem in the first file, and write the record to the second.

    `solve(problem, recorder)` returns how it ended.
    """
    with np.load(sys.argv[1]) as file:
        problem = {name: file[name] for name in file.files}
    recorder = Recorder(float(problem["limit"]))
    recorder.record(lambda: straight(problem))
    try:
        status = solve(problem, recorder)
    except OutOfTime:
        status = "time limit"
    except MemoryError:
        status = "out of memory"
    information = json.dumps({"status": status, "versions": versions})
    np.savez(Path(sys.argv[2]), information=information, **recorder.arrays())


def straight(problem) -> np.ndarray:
    """The straight line that every solver starts from."""
    w = np.linspace(0, 1, int(problem["num_segments"]) + 1)[:, None]
    return (1 - w) * problem["x0"] + w * problem["x1"]
