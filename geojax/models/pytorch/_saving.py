"""The folder of a converted module: config.json, graph.json and model.safetensors."""

import json
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array

from ..._files import written_whole
from ...scores import PREDICTIONS, SCHEDULES, AbstractSchedule, AbstractScore
from .._checkpoint import load_arrays, read_config, save_arrays
from ._border import Border, Example
from ._graph import Graph, dtype_of
from ._network import TorchNetwork


def save_torch(folder: Path | str, model: Any, notes: dict[str, Any] | None = None) -> None:
    """Write a converted module to a folder, which `geojax.models.load` reads without torch.

    **Arguments:**

    - `folder`: created if it does not exist.
    - `model`: the result of [`geojax.models.from_torch`][], or a score of such a network, such as
      `NoisePrediction(network, schedule)`. For a score `load` returns the score, and the commands
      take the folder.
    - `notes`: added to `config.json`, for example `{"data": "CIFAR-10"}`.

    **Raises:**

    - `ValueError`: when `model` is neither, or its schedule is not one of geojax's.
    """
    config: dict[str, Any] = {"kind": "torch"}
    network = model
    if isinstance(model, tuple(PREDICTIONS.values())):
        network = model.network
        names = {kind: name for name, kind in PREDICTIONS.items()}
        config |= {"prediction": names[type(model)], "schedule": _schedule(model.schedule)}
    if not isinstance(network, TorchNetwork):
        raise ValueError(
            "model must be the result of from_torch, or a score of it such as "
            f"NoisePrediction(network, schedule), got {type(model).__name__} of "
            f"{type(network).__name__}."
        )
    shape = network.border.examples[0].shape
    config |= {"shape": list(shape[1:] if shape[:1] == (1,) else shape)}
    config |= {"network": {"name": "torch", "num_classes": 0}} | (notes or {})
    graph = {
        "graph": network.graph.to_json(),
        "structure": network.structure,
        "weights": {n: [a.dtype.name, list(a.shape)] for n, a in network.weights.items()},
        "positional": network.border.positional,
        "keywords": network.border.keywords,
        "examples": network.border.examples,
        "timesteps": network.border.timesteps,
    }
    for name, content in (("graph", graph), ("config", config)):
        with written_whole(Path(folder) / f"{name}.json") as temporary:
            temporary.write_text(json.dumps(content, indent=2 if name == "config" else None))
    save_arrays(Path(folder) / "model.safetensors", network.weights)


def load_torch(folder: Path | str) -> TorchNetwork | AbstractScore:
    """The network or score of a folder of `save_torch`.

    **Raises:**

    As [`geojax.models.load`][].
    """
    config = read_config(folder)
    network = _network(Path(folder))
    if "prediction" not in config:
        return network
    try:
        options = dict(config["schedule"])
        schedule = SCHEDULES[options.pop("name")](**options)
        return PREDICTIONS[config["prediction"]](network, schedule)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{Path(folder) / 'config.json'} does not describe a known score: {error!r}"
        ) from None


def _schedule(schedule: AbstractSchedule) -> dict[str, Any]:
    names = {kind: name for name, kind in SCHEDULES.items()}
    if type(schedule) not in names:
        raise ValueError(
            f"a score with the schedule {type(schedule).__name__} cannot be saved, only with one "
            f"of {', '.join(kind.__name__ for kind in names)}. Save its network."
        )
    fields = type(schedule).__dataclass_fields__
    return {"name": names[type(schedule)]} | {n: getattr(schedule, n) for n in fields}


def _network(folder: Path) -> TorchNetwork:
    path = folder / "graph.json"
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: this is not a complete folder of save_torch.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        graph = Graph.from_json(content["graph"])
        like = {
            name: jax.ShapeDtypeStruct(tuple(shape), dtype_of(dtype))
            for name, (dtype, shape) in content["weights"].items()
        }
        border = Border(
            _frozen(content["positional"]),
            _frozen(content["keywords"]),
            tuple(Example(dtype, tuple(shape)) for dtype, shape in content["examples"]),
            content["timesteps"],
        )
        structure = _frozen(content["structure"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    weights: dict[str, Array] = load_arrays(folder / "model.safetensors", like)
    return TorchNetwork(weights, graph, border, structure)


def _frozen(value: Any) -> Any:
    """Nested lists, as read from JSON, as tuples."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value
