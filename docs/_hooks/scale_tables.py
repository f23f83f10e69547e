"""Tables of the cost model in `scale.md`: measurements, and their consequences."""

from collections.abc import Callable, Mapping
from typing import Any

from markdown_table import markdown

# Assumptions about one device, not measured: half of the peak of an H100 in bfloat16, its memory.
_SPEED, _MEMORY = 400e12, 80e9
_STEPS, _SEGMENTS = 10, 16  # of a solve
_DAY = 86_400


def counts(content: Mapping[str, Any]) -> str:
    """Evaluations of a solve, counted and by the formula."""
    rows = [
        [row["segments"], row["steps"], f"{row['evaluations']:,}", f"{row['predicted']:,}"]
        for row in _rows(content, "evaluations")
    ]
    return markdown(["N", "steps S", "evaluations counted", "2 N (S + 1)"], rows)


def memory(content: Mapping[str, Any]) -> str:
    """Arrays of a solve as multiples of N D numbers, and messages of a linearisation."""
    sent = {(row["segments"], row["dimension"]): row for row in _rows(content, "messages")}
    found: dict[tuple[int, int], dict[int, float]] = {}
    for row in _rows(content, "memory"):
        key = row["segments"], row["dimension"]
        found.setdefault(key, {})[row["devices"]] = row["paths"]
    rows = []
    for (n, d), paths in found.items():
        message = sent[n, d]
        cells = [f"{paths[1]:.1f}", f"{paths[message['devices']]:.1f}"]
        gathered = f"{message['numbers']:,} in {len(message['operations'])}"
        rows.append([n, f"{d:,}", *cells, gathered, f"{message['predicted']:,}"])
    head = ["N", "D", "memory / (N D)", "on each of 8 devices", "numbers gathered", "4 N D + 2 N"]
    return markdown(head, rows)


def times(content: Mapping[str, Any]) -> str:
    """Seconds of a step outside the score, and a solve with a network by the model."""
    rows = [
        [f"step outside the score, D = {row['dimension']:,}", _seconds(row["seconds_a_step"]), "–"]
        for row in _rows(content, "outside")
    ]
    rows += [
        [
            f"solve through the digits' network, N = {row['segments']}, {row['steps']} steps",
            _seconds(row["seconds"]),
            _seconds(row["predicted"]),
        ]
        for row in _rows(content, "network")
    ]
    return markdown(["what", "measured", "evaluations times their seconds"], rows)


def plan(content: Mapping[str, Any]) -> str:
    """A million geodesics a day: the requirements of each of three scores."""
    rows = []
    for row in _rows(content, "flops"):
        linearisations = 2 * _SEGMENTS * (_STEPS + 1)
        each = linearisations * row["with_vjp"]
        devices = 1e6 * each / (_SPEED * _DAY)
        path = 4 * (_SEGMENTS + 1) * row["dimension"]
        cells = [f"{row['dimension']:,}", _scaled(row["with_vjp"], "FLOP"), _scaled(each, "FLOP")]
        busy = f"{devices:.0f}" if devices >= 1 else f"{devices:.1g} of one"
        rows.append([row["what"], *cells, busy, _scaled(1e6 * path, "B")])
    head = ["score", "D", "evaluation with VJP", "a geodesic", "devices busy", "paths in float32"]
    return markdown(head, rows)


def largest(content: Mapping[str, Any]) -> str:
    """The largest D that fits beside the network, by N."""
    factor = max(row["paths"] for row in _rows(content, "memory"))
    rows = []
    for n in (8, 16, 64):
        most = _MEMORY / 2 / (4 * factor * n)
        rows.append([n, _scaled(4 * factor * n * 1e7, "B"), f"{most:.1g}"])
    return markdown(["N", "a path of D = 10⁷", "largest D in half of 80 GB"], rows)


def _rows(content: Mapping[str, Any], section: str) -> list[dict[str, Any]]:
    return [row for row in content["rows"] if row["section"] == section]


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms"


def _scaled(value: float, unit: str) -> str:
    for power, prefix in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.3g} {prefix}{unit}"
    return f"{value:.2g} {unit}"


TABLES: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "scale counts": ("scale.json", counts),
    "scale memory": ("scale.json", memory),
    "scale times": ("scale.json", times),
    "scale plan": ("scale.json", plan),
    "scale largest": ("scale.json", largest),
}
