"""How far apart latents should lie: by labels, or by the neighbour graph of the pictures."""

import numpy as np
import scipy.sparse
from jaxtyping import Float
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import cdist

from ..._arrays import Numbers, as_floating

REACH = 4.0  # of the farthest joined pair
_BLOCK = 512  # pictures whose distances to all others are held at once


def picture_distances(
    images: Numbers, anchors: Numbers, *, neighbours: int = 6
) -> Float[np.ndarray, "anchors pictures"]:
    """Distances along the neighbour graph of the pictures, from some of them to all.

    Pixels know which pictures are near, not how far apart far ones are: a motion leads through
    pictures that share no pixel. Shortest paths through near ones unfold it (Isomap, Tenenbaum et
    al. 2000). No labels are needed.

    - ``images``: shape (pictures, *shape).
    - ``anchors``: indices of the pictures to measure from.
    - ``neighbours``: how many nearest pictures each is joined to.

    **Returns:** distances, in units of which the farthest joined pair has 4; infinite where no path
    leads. **Raises:** `ValueError` on fewer than two pictures or on ``neighbours`` out of range.

    >>> import numpy as np
    >>> from geojax.models.latent import picture_distances
    >>> moving = np.eye(8)[:, None]  # a dot that moves: all pictures are equally far in pixels
    >>> blurred = moving + 0.5 * np.roll(moving, 1, axis=2)
    >>> picture_distances(blurred[:4], [0], neighbours=1).round(2)
    array([[0.  , 1.33, 2.67, 4.  ]])
    """
    images = np.asarray(as_floating("images", images, "pictures *shape"), np.float32)
    flat = images.reshape(len(images), -1)
    if not 1 <= neighbours < len(flat):
        raise ValueError(
            f"neighbours must be in 1 ... {len(flat) - 1}, fewer than there are pictures, got "
            f"{neighbours}."
        )
    graph = neighbour_graph(flat, neighbours)
    return _in_units(dijkstra(graph, directed=False, indices=np.asarray(anchors)))


def neighbour_graph(points: np.ndarray, neighbours: int) -> scipy.sparse.csr_array:
    """Every point, shape (points, coordinates), joined to its nearest others, with distances."""
    rows, columns, lengths = [], [], []
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        apart = cdist(block, points)
        apart[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        near = np.argpartition(apart, neighbours - 1, axis=1)[:, :neighbours]
        rows.append(np.repeat(start + np.arange(len(block)), neighbours))
        columns.append(near.ravel())
        lengths.append(np.take_along_axis(apart, near, axis=1).ravel())
    # An edge of length 0, between equal points, would be no edge.
    weights = np.maximum(np.concatenate(lengths), np.finfo(np.float64).tiny)
    edges = weights, (np.concatenate(rows), np.concatenate(columns))
    return scipy.sparse.csr_array(edges, (len(points), len(points)))


def label_distances(
    labels: Numbers,
    anchors: Numbers,
    *,
    period: float | None = None,
    groups: Numbers | None = None,
) -> Float[np.ndarray, "anchors pictures"]:
    """Distances between labels, from some pictures to all.

    - ``labels``: continuous labels, shape (pictures,) or (pictures, labels); several are given in
      units in which 1 means the same change.
    - ``period``: after which a label is the same again, such as 360 for angles in degrees.
    - ``groups``: shape (pictures,): between different ones, such as classes, is no distance.

    **Returns:** as `picture_distances`. **Raises:** `ValueError` on shapes that do not fit.

    >>> from geojax.models.latent import label_distances
    >>> label_distances([0.0, 90.0, 350.0], [0], period=360.0).round(2)
    array([[0.  , 4.  , 0.44]])
    """
    labels = np.asarray(as_floating("labels", labels), np.float64)
    if labels.ndim not in (1, 2):
        raise ValueError(
            f"labels must have shape (pictures,) or (pictures, labels), got {labels.shape}."
        )
    labels = labels.reshape(len(labels), -1)
    index = np.asarray(anchors)
    apart = np.abs(labels[index][:, None] - labels[None])
    if period is not None:
        apart = np.minimum(apart % period, period - apart % period)
    found = np.linalg.norm(apart, axis=-1)
    if groups is not None:
        group = np.asarray(groups)
        if group.shape != labels.shape[:1]:
            raise ValueError(f"groups must have shape {labels.shape[:1]}, got {group.shape}.")
        found = np.where(group[index][:, None] == group[None], found, np.inf)
    return _in_units(found)


def _in_units(found: np.ndarray) -> np.ndarray:
    """The distances, such that the farthest joined pair has `REACH`."""
    farthest = np.max(found[np.isfinite(found)])
    return found * (REACH / farthest if farthest > 0 else 1.0)
