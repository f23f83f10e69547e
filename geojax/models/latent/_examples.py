"""Two training images, stored with a model, as an example for a geodesic."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse.csgraph import dijkstra

from ..._files import read_arrays, written_whole
from ._distances import neighbour_graph

EXAMPLES = "examples.npz"
_SHARE, _GRAPH = 0.6, 1500


def save_examples(folder: Path, pixels: np.ndarray, points: np.ndarray) -> None:
    """Store an image and another one, at 0.6 of the longest distance along the neighbour graph."""
    points, kept = points[:_GRAPH], pixels[:_GRAPH]
    graph = neighbour_graph(points.astype(np.float64), min(6, len(points) - 1))
    ways = dijkstra(graph, directed=False, indices=0)
    ways = np.where(np.isfinite(ways), ways, -np.inf)
    other = int(np.argmin(np.abs(ways - _SHARE * np.max(ways))))
    with written_whole(folder / EXAMPLES) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, pictures=kept[[0, other]])


def example_pictures(
    folder: Path | str, config: Mapping[str, Any]
) -> Float[np.ndarray, "2 channels side side"]:
    """The two images that a training stored beside its model, in [-1, 1].

    **Arguments:**

    - `folder`: of the model.
    - `config`: of the model.

    **Returns:**

    The images, shape `(2, channels, side, side)`.

    **Raises:**

    - `FileNotFoundError`: when there are none.
    - `ValueError`: when they do not fit the `config`.
    """
    return stored_pictures(folder, EXAMPLES, config, 2)["pictures"] / 127.5 - 1


def stored_pictures(
    folder: Path | str, name: str, config: Mapping[str, Any], count: int | None = None
) -> dict[str, np.ndarray]:
    """The arrays of a model's file, whose `pictures` must be `count` of the model's shape."""
    path = Path(folder) / name
    if not path.is_file():
        raise FileNotFoundError(
            f"no {name} in {folder}: give two pictures to geojax interpolate --model {folder}."
        )
    arrays = read_arrays(path, "pictures")
    pictures = arrays["pictures"]
    wanted = (len(pictures) if count is None else count, *config["shape"])
    if pictures.shape != wanted or pictures.dtype != np.uint8:
        raise ValueError(
            f"{path} must hold pictures of shape {wanted}, uint8, got {pictures.shape}, "
            f"{pictures.dtype}."
        )
    return arrays
