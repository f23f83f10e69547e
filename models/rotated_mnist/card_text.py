"""The text of the model card: `card.template.md` with the figures of `make_card.py`."""

from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).resolve().parent / "card.template.md"

ERRORS = {
    "error_network_label": "network, label given",
    "error_class_training_set": "exact, of the class",
    "error_network_null": "network, no label",
    "error_training_set": "exact",
    "error_training_set_on_its_own_digits": "exact, on its own digits",
    "error_linear": "linear",
}
GEOMETRY = {
    "asymmetry_random": "asymmetry, random v",
    "asymmetry_digits": "asymmetry, v between digits",
    "contrast_probed": "contrast, averaged",
    "contrast_clean": "contrast, clean",
}


def card(data: dict[str, Any]) -> str:
    """README.md from the contents of `card.json`."""
    config, machine, training = data["config"], data["machine"], data["training"]
    settings = dict(config["training"])
    held_out = training.get("held_out_loss")
    return TEMPLATE.read_text(encoding="utf-8").format(
        **settings,
        **data["settings"],
        **{f"recognised_{k}": share for k, share in data["recognised"].items()},
        detour=data["detour"],
        **{k: machine[k] for k in ("cpu", "cores", "python", "commit", "seconds")},
        widths=" and ".join(str(w) for w in config["network"]["widths"]),
        num_blocks=config["network"]["num_blocks"],
        num_middle=config["network"]["num_middle"],
        prediction=config["prediction"],
        schedule=config["schedule"]["name"],
        shape=tuple(config["shape"]),
        data=config["data"],
        parameters=data["parameters"],
        megabytes=data["weights"]["bytes"] / 1e6,
        sha=data["weights"]["sha256"][:16],
        steps=training.get("steps", 0),
        decay=settings["decay_fraction"],
        final_loss="" if held_out is None else f" Last held-out loss: {held_out:.4g}.",
        error_table=table(data["levels"], ERRORS),
        geometry_table=table(data["levels"], GEOMETRY),
        packages=", ".join(f"{k} {v}" for k, v in machine["packages"].items()),
    )


def table(levels: list[dict[str, float]], columns: dict[str, str]) -> str:
    """A Markdown table with one row for each noise level that has any of the figures."""
    lines = ["| t | sigma / alpha | " + " | ".join(columns.values()) + " |"]
    lines.append("|" + "---|" * (len(columns) + 2))
    for row in levels:
        cells = [figure(row.get(k)) for k in columns]
        lines.append(f"| {row['t']:g} | {row['noise_to_signal']:.3g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(value: float | None) -> str:
    """Three digits; values below 1e-6 are rounding."""
    if value is None:
        return ""
    return "< 1e-6" if value < 1e-6 else f"{value:.3g}"
