"""What the rows of the Rotated MNIST experiment say together: tables, files, the page."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..models import DigitClassifier
from ._rotated_mnist_figures import Example
from ._rotated_mnist_measures import FIGURES, classifier_features, set_distances
from ._rotated_mnist_pairs import Digits, turned_by
from ._rotated_mnist_plan import (
    BETWEEN,
    BEYOND,
    ONE_CLASS,
    ROTATION,
    SAME,
    TWO_CLASSES,
    RotatedMnistPlan,
)
from ._store import RowStore
from ._table import summarise

_BY = ("part", "kind", "delta", "protocol", "method")
_STRAIGHT = ("LERP", "straight line")
FAR = 60  # degrees from which on a straight line has left the data


class RotatedMnistTables(NamedTuple):
    """What `run_rotated_mnist` returns.

    - ``rows``: every row as measured.
    - ``means``: by part, kind, delta, protocol and method, with standard errors.
    - ``far``: the same for all deltas of at least 60 degrees together (``delta`` is None).
    - ``distances``: by part, kind, protocol and method, of all frames from the turned test digits.
    - ``examples``: frames of the first pair of some kinds.
    """

    rows: list[dict[str, Any]]
    means: list[dict[str, Any]]
    far: list[dict[str, Any]]
    distances: list[dict[str, Any]]
    examples: list[Example]


def rotated_mnist_tables(
    plan: RotatedMnistPlan,
    store: RowStore,
    rows: Sequence[Mapping[str, Any]],
    digits: Digits,
    classifier: DigitClassifier,
) -> RotatedMnistTables:
    """The tables of the rows that are in the store."""
    settings = [row for row in rows if row in store]
    measured = [_without_flag(row) for row in map(store.get, settings) if row is not None]
    found = _with_gains(measured)
    means = summarise(found, _BY, tuple(FIGURES))
    turned = [row for row in found if (row["delta"] or 0) >= FAR]
    far = summarise([{**row, "delta": None} for row in turned], _BY, tuple(FIGURES))
    reference = classifier_features(classifier, digits.turned(plan.num_reference, plan.seed))
    groups: dict[tuple, tuple[list[np.ndarray], list[int]]] = {}
    for row in settings:
        if row["kind"] == SAME:  # its frames are copies
            continue
        key = tuple(row[name] for name in ("part", "kind", "protocol", "method"))
        features, pairs = groups.setdefault(key, ([], []))
        features.append(store.arrays(row)["features"])
        pairs.append(row["pair"])
    distances = [
        {
            **dict(zip(("part", "kind", "protocol", "method"), key, strict=True)),
            **set_distances(features, pairs, reference),
        }
        for key, (features, pairs) in groups.items()
    ]
    return RotatedMnistTables(
        found, means, far, distances, _examples(plan, store, settings, digits)
    )


def _without_flag(row: dict[str, Any]) -> dict[str, Any]:
    """A row's setting ``lpips`` says whether there were weights; where there was no truth, no
    figure of that name has taken its place.
    """
    return {**row, "lpips": None} if isinstance(row["lpips"], bool) else row


def _with_gains(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """``gain``: PSNR above that of the straight line between the same two points, noised alike.

    Pairs differ more than methods do; the mean of differences does not see that.
    """
    names = ("part", "kind", "delta", "pair", "t", "noising", "denoising", "denoise_steps")

    def place(row):
        return tuple(row[name] for name in names)

    straight = {place(row): row.get("psnr") for row in rows if row["method"] in _STRAIGHT}

    def gain(row):
        both = row.get("psnr"), straight.get(place(row))
        return None if None in both or row["method"] in _STRAIGHT else both[0] - both[1]

    return [{**row, "gain": gain(row)} for row in rows]


def _examples(plan, store: RowStore, rows, digits: Digits) -> list[Example]:
    """The first pair of the widest delta below half a turn, and of the other kinds."""
    below = [delta for delta in plan.deltas if delta < 180] or list(plan.deltas)
    delta = min(below, key=lambda delta: abs(delta - 90), default=None)
    wanted = [
        (ROTATION, delta, BETWEEN),
        (ROTATION, delta, BEYOND),
        (ONE_CLASS, None, BETWEEN),
        (TWO_CLASSES, None, BETWEEN),
    ]
    examples = []
    for kind, degrees, part in wanted:
        chosen = [
            row
            for row in rows
            if (row["pair"], row["kind"], row["delta"], row["part"]) == (0, kind, degrees, part)
        ]
        if not chosen:
            continue
        frames, found = {}, {}
        for row in chosen:
            name = row["method"], row["protocol"]
            frames[name] = store.arrays(row)["frames"]
            found[name] = (store.get(row) or {}).get("psnr")
        count = len(next(iter(frames.values())))
        times = np.linspace(0, 1, count) if part == BETWEEN else np.linspace(1, plan.until, count)
        pair = digits.pair(kind, degrees, 0, plan.seed)
        truth = None
        if kind == ROTATION:
            truth = np.asarray(turned_by(pair.upright, pair.angle + times * pair.turn))
        examples.append(Example(kind, degrees, part, times, truth, frames, found))
    return examples
