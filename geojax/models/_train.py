"""Training a score on Rotated MNIST: resumable, with an exponential moving average."""

import csv
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree, UInt8

from .._files import written_whole
from ..scores import AbstractScore, batch_loss, training_step
from ._checkpoint import build_score, described, load_arrays, save_arrays, save_checkpoint
from ._rotated_mnist import rotated_batch

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


class TrainingState(NamedTuple):
    """All that training goes on from."""

    score: AbstractScore
    average: AbstractScore
    optimiser: PyTree
    step: Array


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
) -> AbstractScore:
    """Train the score of ``config`` to ``num_steps`` steps in all; go on where ``folder`` stands.

    Every digit of a batch is turned by a fresh uniform angle; its label is dropped with
    probability ``label_drop`` so that the null class is learned too. The learning rate warms up,
    stays, and falls linearly over the last ``decay_fraction`` of ``num_steps``: a later call with a
    larger ``num_steps`` goes on from the saved state. Step k draws from ``fold_in(seed, k)``, so an
    interrupted run repeats what an uninterrupted one would have done.

    ``folder`` receives ``config.json``, ``model.safetensors`` (the moving average),
    ``training.safetensors`` (everything needed to resume) and ``loss.csv`` every ``save_every``
    steps. ``callback(step, loss)`` runs after every step.

    **Returns:** the moving average of the score. **Raises:** `ValueError` when ``num_steps`` is not
    positive, ``config`` describes no score, or ``folder`` holds a run of another config;
    `FloatingPointError` when the loss is no longer finite (the last saved state stays).
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}.")
    described(config, "config")
    folder, settings = Path(folder), config["training"]
    root = jax.random.key(settings["seed"])
    optimiser = _optimiser(settings, num_steps)
    state = _start(config, optimiser, folder, key=root)
    images_on_device = jnp.asarray(images)
    labels_on_device = jnp.asarray(labels, dtype=jnp.int32)
    history = [row for row in loss_history(folder) if row[0] <= int(state.step)]
    recent: list[float] = []
    step = int(state.step)
    while step < num_steps:
        epoch, offset = divmod(step * settings["batch_size"], len(images))
        order = np.random.default_rng([settings["seed"], epoch]).permutation(len(images))
        batch = np.take(order, np.arange(offset, offset + settings["batch_size"]), mode="wrap")
        key = jax.random.fold_in(root, step)
        x0, labels_now = _draw(
            images_on_device[batch], labels_on_device[batch], config["network"], settings, key
        )
        score, opt_state, loss = training_step(
            state.score,
            optimiser,
            state.optimiser,
            x0,
            labels_now,
            key=jax.random.fold_in(key, 1),
            weighting=settings["weighting"],
            time_power=settings["time_power"],
        )
        step += 1
        average = _average(state.average, score, settings["ema_decay"], jnp.asarray(float(step)))
        state = TrainingState(score, average, opt_state, jnp.asarray(step))
        recent.append(float(loss))
        if not np.isfinite(recent[-1]):
            raise FloatingPointError(
                f"the loss is {recent[-1]} at step {step}. The last saved state in {folder} is "
                "intact: lower learning_rate and run again."
            )
        if callback is not None:
            callback(step, recent[-1])
        if step % save_every == 0 or step == num_steps:
            test = _held_out_loss(state.average, held_out, settings)
            history.append((step, float(np.mean(recent)), test))
            recent = []
            _save(folder, state, config, history)
    return state.average


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
    state = TrainingState(
        score, score, optimiser.init(eqx.filter(score, eqx.is_inexact_array)), jnp.asarray(0)
    )
    saved = folder / "training.safetensors"
    if not saved.is_file():
        return state
    if json.loads((folder / "config.json").read_text()) != json.loads(json.dumps(config)):
        raise ValueError(
            f"{folder} holds a training run of another config. Choose another folder, or delete it."
        )
    return load_arrays(saved, state)


@eqx.filter_jit
def _draw(images, labels, network, settings, key):
    angle_key, drop_key = jax.random.split(key)
    angles = jax.random.uniform(angle_key, labels.shape, maxval=2 * jnp.pi)
    dropped = jax.random.bernoulli(drop_key, settings["label_drop"], labels.shape)
    return rotated_batch(images, angles), jnp.where(dropped, network["num_classes"], labels)


@eqx.filter_jit
def _average(average, score, decay, step):
    decay = jnp.minimum(decay, (1 + step) / (10 + step))

    def mix(a, b):
        if not eqx.is_inexact_array(a):
            return a
        share = decay.astype(a.dtype)
        return share * a + (1 - share) * b

    return jax.tree.map(mix, average, score)


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
    """The rows of a training folder's ``loss.csv``, none where it has no such file.

    A row is the step, the mean training loss since the row before, and the loss of the moving
    average on held-out digits (NaN without them). The two are weighted differently (see `train`).
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
