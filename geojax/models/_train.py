"""Training of a score on Rotated MNIST: resumable, with an exponential moving average."""

import csv
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import UInt8

from .._files import written_whole
from .._shares import writes_files
from ..scores import AbstractScore, batch_loss
from ._checkpoint import build_score, described, load_arrays, save_arrays, save_checkpoint
from ._data_parallel import here, on_all, shared_out
from ._rotated_mnist import rotated_batch
from ._steps import (
    TrainingState,
    check_dtype,
    constants,
    first_state,
    in_dtype,
    run_steps,
    steps_per_call,
)

ROTATED_MNIST_CONFIG: dict[str, Any] = {
    "network": {
        "name": "image_unet",
        "channels": 1,
        "widths": [64, 128],
        "num_blocks": 1,
        "num_middle": 3,
        "patch": 2,
        "num_classes": 10,
    },
    "prediction": "velocity",
    "schedule": {"name": "vp_linear"},
    "shape": [1, 28, 28],
    "data": "Rotated MNIST: each digit turned by a uniform random angle; pixels in [-1, 1]",
    "training": {
        "batch_size": 64,
        "learning_rate": 1e-3,
        "warmup_steps": 300,
        "decay_fraction": 0.3,
        "ema_decay": 0.999,
        "label_drop": 0.1,
        "weighting": "velocity",
        "time_power": 1.5,
        "seed": 0,
    },
}

_USED = "label_drop", "weighting", "time_power", "dtype", "classes"  # by a step


def train(
    config: dict[str, Any],
    images: UInt8[np.ndarray, "n height width"],
    labels: UInt8[np.ndarray, " n"],
    folder: Path | str,
    *,
    num_steps: int,
    held_out: tuple[np.ndarray, np.ndarray] | None = None,
    save_every: int = 250,
    callback: Callable[[int, float], None] | None = None,
    devices: Mesh | None = None,
) -> AbstractScore:
    """Train a score to `num_steps` steps in all, or resume the run in `folder`.

    Every digit of a batch is turned by a new uniform angle. Its label is dropped with probability
    `label_drop`, so that the null class is learned too. The learning rate warms up, stays constant,
    and falls linearly over the last `decay_fraction` of `num_steps`. A later call with a larger
    `num_steps` resumes from the saved state. Step k draws from `fold_in(seed, k)`, so an
    interrupted run gives the result of an uninterrupted one.

    With `config["training"]["dtype"]` "bfloat16" the network computes in 16 bits. Its weights, the
    sums of its norms, the loss and the optimiser stay in float32. On an accelerator one call of a
    compiled program takes 50 steps, on a CPU one step.

    **Arguments:**

    - `config`: as `ROTATED_MNIST_CONFIG`.
    - `images`, `labels`: upright digits in 0 ... 255 and their classes.
    - `folder`: receives `config.json`, `model.safetensors` (the moving average),
      `training.safetensors` (the state to resume from) and `loss.csv` every `save_every` steps.
    - `num_steps`: steps in all, including those of earlier calls.
    - `held_out`: images and labels for a second loss, at the same steps.
    - `save_every`: steps between saves.
    - `callback`: called as `callback(step, loss)` after every step.
    - `devices`: a [`geojax.device_mesh`][], which shares every batch. The result is the same up to
      rounding. Under `jax.distributed` all processes make the same call and see the same folder,
      and the first one writes. If a process dies, start all of them again; they resume from the
      last saved state.

    **Returns:**

    The moving average of the score.

    **Raises:**

    - `ValueError`: when `num_steps` is not positive, `config` describes no score, or `folder` has a
      run of another config.
    - `FloatingPointError`: when the loss is no longer finite. The last saved state stays.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}.")
    described(config, "config")
    folder, settings = Path(folder), config["training"]
    check_dtype(settings)
    root = jax.random.key(settings["seed"])
    optimiser = _optimiser(settings, num_steps)
    state = on_all(_start(config, optimiser, folder, key=root), devices)
    data = on_all((jnp.asarray(images), jnp.asarray(labels, dtype=jnp.int32)), devices)
    options = settings | {"classes": config["network"]["num_classes"]}
    loss = jax.tree_util.Partial(_loss, *data, constants(options, *_USED), devices)
    history = [row for row in loss_history(folder) if row[0] <= int(state.step)]
    recent: list[float] = []
    step, chunk = int(state.step), steps_per_call()
    while step < num_steps:
        # Saves are at multiples of `save_every`, for any number of steps in a call.
        count = min(chunk, num_steps - step, save_every - step % save_every)
        rows = np.stack([_batch(settings, len(images), k) for k in range(step, step + count)])
        decay = settings["ema_decay"]
        state, losses = run_steps(state, loss, jnp.asarray(rows), optimiser, root, decay)
        state = on_all(state, devices)
        for value in np.asarray(losses).tolist():
            step += 1
            recent.append(value)
            if not np.isfinite(value):
                raise FloatingPointError(
                    f"the loss is {value} at step {step}. The last saved state in {folder} is "
                    "intact: lower learning_rate and run again."
                )
            if callback is not None:
                callback(step, value)
        if step % save_every == 0 or step == num_steps:
            test = _held_out_loss(state.average, held_out, settings)
            history.append((step, float(np.mean(recent)), test))
            recent = []
            if writes_files(devices):
                _save(folder, here(state, devices), config, history)
    return here(state.average, devices)


def _optimiser(settings, num_steps):
    return _cached_optimiser(
        settings["learning_rate"], settings["warmup_steps"], settings["decay_fraction"], num_steps
    )


# Cached, because a new optimiser object compiles the training step anew.
@functools.lru_cache
def _cached_optimiser(peak, warmup, decay_fraction, num_steps):
    decay = max(1, int(decay_fraction * num_steps))
    warmup = min(warmup, num_steps - decay)
    rate = optax.join_schedules(
        [
            optax.linear_schedule(0.0, peak, max(warmup, 1)),
            optax.constant_schedule(peak),
            optax.linear_schedule(peak, 0.0, decay),
        ],
        [warmup, num_steps - decay],
    )
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate, b2=0.99))


def _start(config, optimiser, folder, *, key) -> TrainingState:
    score = build_score(config, key=jax.random.fold_in(key, 2**31))
    state = first_state(score, optimiser)
    saved = folder / "training.safetensors"
    if not saved.is_file():
        return state
    if json.loads((folder / "config.json").read_text()) != json.loads(json.dumps(config)):
        raise ValueError(
            f"{folder} holds a training run of another config. Choose another folder, or delete it."
        )
    return load_arrays(saved, state)


def _batch(settings, total: int, step: int) -> np.ndarray:
    """The image numbers of a step: each epoch is a permutation of all images."""
    size = settings["batch_size"]
    epoch, offset = divmod(step * size, total)
    order = _permutation(settings["seed"], epoch, total)
    return np.take(order, np.arange(offset, offset + size), mode="wrap")


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, total: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(total)


def _loss(images, labels, settings: tuple, devices: Mesh | None, score, row, key):
    """The loss of a batch of turned digits."""
    row = shared_out(row, devices)
    options = dict(settings)
    angle_key, drop_key = jax.random.split(key)
    angles = jax.random.uniform(angle_key, row.shape, maxval=2 * jnp.pi)
    dropped = jax.random.bernoulli(drop_key, options["label_drop"], row.shape)
    # Only the network: levels and the loss stay in float32.
    network = in_dtype(score.network, options.get("dtype", "float32"))
    return batch_loss(
        eqx.tree_at(lambda s: s.network, score, network),
        rotated_batch(images[row], angles),
        jnp.where(dropped, options["classes"], labels[row]),
        key=jax.random.fold_in(key, 1),
        weighting=options["weighting"],
        time_power=options["time_power"],
    )


@eqx.filter_jit
def _loss_of(score, x0, labels, key, weighting):
    return batch_loss(score, x0, labels, key=key, weighting=weighting)


def _held_out_loss(score, held_out, settings) -> float:
    """The loss on held-out digits with fixed angles, times and noises (uniform times)."""
    if held_out is None:
        return float("nan")
    images, labels = held_out
    key = jax.random.key(1234)
    angles = jax.random.uniform(key, (len(labels),), maxval=2 * jnp.pi)
    x0 = rotated_batch(jnp.asarray(images), angles)
    labels = jnp.asarray(labels, dtype=jnp.int32)
    return float(_loss_of(score, x0, labels, key, "noise"))


def loss_history(folder: Path | str) -> list[tuple[int, float, float]]:
    """The rows of `loss.csv` in a training folder; none without such a file.

    A row is the step, the mean training loss since the previous row, and the loss of the moving
    average on held-out digits (NaN without them). The training loss draws its times by the config's
    `time_power`; the second loss has uniform times.
    """
    path = Path(folder) / "loss.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return [
            (int(row["step"]), float(row["loss"]), float(row["test"]))
            for row in csv.DictReader(file)
        ]


def _save(folder, state, config, history) -> None:
    save_checkpoint(folder, state.average, config)
    save_arrays(folder / "training.safetensors", state)
    with written_whole(folder / "loss.csv") as temporary, temporary.open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "loss", "test"])
        writer.writerows((s, f"{a:.6g}", f"{b:.6g}") for s, a, b in history)
