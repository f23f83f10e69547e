"""Checkpoints: a folder with `config.json` and `model.safetensors`. Never pickle.

The config names the network, the parameterisation and the schedule. The weights are named by their
path in the module, for example `levels.0.down.0.conv1.weight`.
"""

import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree
from safetensors import SafetensorError
from safetensors.flax import save_file
from safetensors.numpy import load_file

from .._files import written_whole
from ..scores import PREDICTIONS, SCHEDULES, AbstractScore
from ._image_unet import ImageUNet

NETWORKS = {"image_unet": ImageUNet}


def _name(path) -> str:
    parts = [getattr(p, "name", getattr(p, "idx", getattr(p, "key", None))) for p in path]
    return ".".join(str(p) for p in parts)


def save_arrays(path: Path | str, tree: PyTree) -> None:
    """Write the arrays of a pytree to a safetensors file, named by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_array))
    with written_whole(path) as temporary:
        save_file({_name(p): jnp.asarray(a) for p, a in leaves}, str(temporary))


def load_arrays(path: Path | str, like: PyTree) -> PyTree:
    """Read a pytree with the structure, shapes and dtypes of `like` from a safetensors file.

    `FileNotFoundError` without the file; `ValueError` when it is not a safetensors file, or a name
    or a shape does not match.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no weights at {path}.")
    try:
        arrays = load_file(str(path))
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from None
    wanted, static = eqx.partition(like, lambda a: isinstance(a, jax.ShapeDtypeStruct | jax.Array))
    leaves, treedef = jax.tree_util.tree_flatten_with_path(wanted)
    names = [_name(p) for p, _ in leaves]
    missing, extra = sorted(set(names) - set(arrays)), sorted(set(arrays) - set(names))
    if missing or extra:
        raise ValueError(
            f"{path} does not fit its config: missing {missing[:3]}, unexpected {extra[:3]}. "
            "Was config.json changed after training?"
        )
    for name, (_, leaf) in zip(names, leaves, strict=True):
        if arrays[name].shape != leaf.shape:
            raise ValueError(
                f"{path}: {name} has shape {arrays[name].shape}, config.json requires {leaf.shape}."
            )
    # Cast by NumPy: JAX would compile a program for each shape.
    cast = [arrays[n].astype(a.dtype) for n, (_, a) in zip(names, leaves, strict=True)]
    filled = jax.device_put(cast)
    return eqx.combine(jax.tree_util.tree_unflatten(treedef, filled), static)


def build_score(config: dict[str, Any], *, key: Key[Array, ""]) -> AbstractScore:
    """An untrained score from a config: network, prediction and schedule.

    **Arguments:**

    - `config`: as in a `config.json`, with `network`, `prediction` and `schedule`.
    - `key`: draws the weights.

    **Raises:**

    - `KeyError` or `TypeError`: when the config lacks a part or has an extra one.
    - `ValueError`: when a name in it is unknown.
    """
    network = _known("network", NETWORKS, config["network"]["name"])
    options = {k: v for k, v in config["network"].items() if k != "name"}
    schedule = _known("schedule", SCHEDULES, config["schedule"]["name"])
    schedule_options = {k: v for k, v in config["schedule"].items() if k != "name"}
    prediction = _known("prediction", PREDICTIONS, config["prediction"])
    return prediction(network(**options, key=key), schedule(**schedule_options))


def _known(kind: str, table: dict[str, Any], name: str) -> Any:
    if name not in table:
        raise ValueError(f"unknown {kind} {name!r}. Known: {', '.join(table)}.")
    return table[name]


def save_checkpoint(folder: Path | str, score: AbstractScore, config: dict[str, Any]) -> None:
    """Write `config.json` and `model.safetensors`, each whole or not at all."""
    with written_whole(Path(folder) / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n")
    save_arrays(Path(folder) / "model.safetensors", score)


def read_config(folder: Path | str) -> dict[str, Any]:
    """The config of a checkpoint folder.

    `FileNotFoundError` without `config.json`, `ValueError` when it is not JSON.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"no config.json in {folder}: not a checkpoint folder.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None


def described(config: dict[str, Any], path: Path | str) -> AbstractScore:
    """The score of a `config` that was read from `path`, with shapes in the place of arrays.

    `ValueError` when the config does not describe a score.
    """
    try:
        tuple(int(n) for n in config["shape"])
        return eqx.filter_eval_shape(build_score, config, key=jax.random.key(0))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not describe a known score: {error!r}") from None


def load_checkpoint(folder: Path | str) -> tuple[AbstractScore, dict[str, Any]]:
    """The score and the config of a checkpoint folder.

    **Raises:**

    - `FileNotFoundError`: without `config.json` or weights.
    - `ValueError`: when they are unreadable or do not fit each other.
    """
    config = read_config(folder)
    like = described(config, Path(folder) / "config.json")
    return load_arrays(Path(folder) / "model.safetensors", like), config
