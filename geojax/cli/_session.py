"""One run that finds a geodesic: its progress, its search, and what it keeps after ctrl-C."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import typer

from ..geodesics import RESULTS, GeodesicSolution, Polyline, SolverProgress, watched_geodesic
from ..interpolation import AbstractInterpolator, InterpolatedPath
from ._console import INTERRUPTED, fail, tell
from ._figures import number
from ._folders import removed_if_empty
from ._interrupt import Interruption
from ._outputs import PATH_FILE, StartRefused, read_path, write_path
from ._progress import Stages

_SAME_ENDS = 0.02  # largest error of the ends of a start path, relative to |B - A|


class KeptPath(AbstractInterpolator):
    """The path of an earlier run, as a start path."""

    nodes: np.ndarray
    name: str = eqx.field(static=True)

    def run(self, x0, x1, ts, *, key=None):
        nodes, ends = self.nodes, (np.asarray(x0), np.asarray(x1))
        fits = nodes.ndim == x0.ndim + 1 and nodes.shape[1:] == x0.shape and len(nodes) > 1
        if fits:
            off = sum(
                np.linalg.norm(a - b) for a, b in zip(ends, (nodes[0], nodes[-1]), strict=True)
            )
            fits = bool(off <= _SAME_ENDS * np.linalg.norm(ends[1] - ends[0]))
        if not fits:
            raise StartRefused(
                f"--init {self.name} holds a path between other points. It must be of the same "
                "pictures, --model, --t, --noising and --seed."
            )
        line = Polyline(jnp.linspace(0, 1, len(nodes), dtype=x0.dtype), nodes.astype(x0.dtype))
        return InterpolatedPath(line.evaluate(ts), RESULTS.successful, jnp.asarray(0))


class Session:
    """Progress and search of one run, whose results go to `folder`.

    The first ctrl-C during the search ends the search, and the run goes on with the path so far. At
    any other time it ends the run at the next stage. The second ctrl-C exits at once. A path that
    was found is in the folder by then.
    """

    def __init__(self, folder: Path, bar: Stages, init: Path | None):
        self.folder, self.bar = folder, bar
        self.kept = False  # whether the path has been written to the folder
        self.interrupted = False  # whether ctrl-C ended the search
        self.start = None if init is None else KeptPath(read_path(init), str(init))
        self._last = SolverProgress(0, math.inf, math.inf, 0.0)
        self.stop = Interruption(self._requested, self.tell_left)

    def begin(self, stage: str) -> None:
        """Begin a stage; `KeyboardInterrupt` if ctrl-C was pressed before."""
        if self.stop.requested and not self.interrupted:
            raise KeyboardInterrupt
        self.bar.begin(stage)

    def search(self, metric, x0, x1, args: Any = None, **options: Any) -> GeodesicSolution:
        """`geodesic` with progress; the path is written to the folder at the end, also after an
        error.
        """
        solution = watched_geodesic(metric, x0, x1, args, on_step=self._on_step, **options)
        write_path(self.folder, solution)
        self.kept = True
        return solution

    def _on_step(self, progress: SolverProgress) -> bool:
        self._last = progress
        text = f"geodesic: step {progress.num_steps}, energy {number(progress.energy)}"
        text += "; checking it" if progress.share > 1 - 1e-5 else ""
        self.bar.detail(text, progress.share)
        self.interrupted = self.stop.requested
        return self.interrupted

    def _requested(self) -> None:
        self.bar.announce("stopping after this step; ctrl-C again leaves")

    def tell_left(self) -> None:
        """Print what is kept of a run that was ended."""
        if self.kept:
            tell("interrupted", f"{_kept(self.folder)}; further files are not written.")
        else:
            tell("interrupted", "no path was found yet, and nothing was written.")

    def tell_interrupted(self) -> None:
        """Print what is kept of a run whose search was interrupted."""
        tell("interrupted", f"after step {self._last.num_steps}. {_kept(self.folder)}.")


def _kept(folder: Path) -> str:
    return (
        f"The path so far is kept in {folder / PATH_FILE}: the same command with --init {folder} "
        "goes on from it"
    )


@contextmanager
def session(
    folder: Path, stages: Sequence[tuple[str, str, float]], init: Path | None
) -> Iterator[Session]:
    """A run whose results go to `folder`; `typer.Exit` when it was ended by ctrl-C."""
    try:
        with removed_if_empty(folder), Stages(stages) as bar:
            run = Session(folder, bar, init)
            try:
                with run.stop:
                    yield run
            except KeyboardInterrupt:
                bar.stop()
                run.tell_left()
                raise typer.Exit(INTERRUPTED) from None
    except StartRefused as error:
        fail(str(error))
