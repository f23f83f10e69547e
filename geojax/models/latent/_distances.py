"""Target distances between latents: from labels, or from the neighbour graph of the images."""

import numpy as np
import scipy.sparse
from jaxtyping import Float
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import cdist

from ..._arrays import Numbers, as_floating

REACH = 4.0  # the distance of the farthest connected pair
_BLOCK = 512  # images whose distances to all others are in memory at once


def picture_distances(
    images: Numbers, anchors: Numbers, *, neighbours: int = 6
) -> Float[np.ndarray, "anchors pictures"]:
    """Distances along the neighbour graph of the images, from some of them to all.

    Pixels show which images are near, but not how far apart distant ones are: a motion leads
    through images that share no pixel. Shortest paths through near images unfold it. No labels are
    needed.

    **Arguments:**

    - `images`: shape `(images, *shape)`.
    - `anchors`: indices of the images to measure from.
    - `neighbours`: the number of nearest images that each is connected to.

    **Returns:**

    Distances, shape `(anchors, images)`, scaled so that the farthest connected pair has 4; infinite
    where no path exists.

    **Raises:**

    - `ValueError`: on fewer than two images or on `neighbours` out of range.

    Source: Isomap, Tenenbaum et al. 2000.

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
    """Every point, shape `(points, coordinates)`, connected to its nearest others."""
    rows, columns, lengths = [], [], []
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK]
        apart = cdist(block, points)
        apart[np.arange(len(block)), start + np.arange(len(block))] = np.inf
        near = np.argpartition(apart, neighbours - 1, axis=1)[:, :neighbours]
        rows.append(np.repeat(start + np.arange(len(block)), neighbours))
        columns.append(near.ravel())
        lengths.append(np.take_along_axis(apart, near, axis=1).ravel())
    # An edge of length 0, between equal points, would not be stored.
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
    """Distances between labels, from some images to all.

    **Arguments:**

    - `labels`: continuous labels, shape `(images,)` or (images, labels). Several are given in units
      in which 1 means the same change.
    - `anchors`: indices of the images to measure from.
    - `period`: after which a label repeats, such as 360 for angles in degrees.
    - `groups`: shape `(images,)`, such as classes. The distance between different groups is
      infinite.

    **Returns:**

    As [`geojax.models.latent.picture_distances`][].

    **Raises:**

    - `ValueError`: on shapes that do not fit.

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
    """The distances, scaled so that the farthest connected pair has `REACH`."""
    farthest = np.max(found[np.isfinite(found)])
    return found * (REACH / farthest if farthest > 0 else 1.0)
