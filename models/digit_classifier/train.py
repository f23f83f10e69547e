"""Train the classifier of digits, measure it and write its card.

    python models/digit_classifier/train.py [--steps N] [--out DIR]

It needs MNIST (`GEOJAX_DATA_DIR`, or it is downloaded) and some ten minutes on one CPU core. Half
of every batch stays (nearly) upright. The other half is turned by uniform angles, where a 6 and a 9
count as one class, because a turned 6 is a 9.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from geojax.models import DigitClassifier, load_mnist, rotated_batch, save_classifier

CONFIG = {
    "network": {"widths": [32, 64], "num_features": 64},
    "shape": [1, 28, 28],
    "data": "MNIST, half of it upright to within 0.2 rad, half turned by uniform random angles",
    "training": {
        "batch_size": 128,
        "learning_rate": 3e-3,
        "weight_decay": 1e-2,
        "ema_decay": 0.998,
        "seed": 0,
    },
}
UPRIGHT = 0.2  # rad
EITHER = jnp.asarray([6, 9])
HERE = Path(__file__).resolve().parent
CARD = (HERE / "card.template.md").read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--out", type=Path, default=HERE, help="default: this folder")
    options = parser.parse_args()
    started = time.perf_counter()
    classifier = train(options.steps, started)
    save_classifier(options.out, classifier, CONFIG)
    minutes = max(1, round(time.process_time() / 60))
    figures = accuracies(classifier)
    print(json.dumps(figures), flush=True)
    weights = (options.out / "model.safetensors").read_bytes()
    card = CARD.format(
        **figures,
        steps=options.steps,
        minutes=minutes,
        batch_size=CONFIG["training"]["batch_size"],
        upright=UPRIGHT,
        parameters=sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(classifier, eqx.is_array))),
        sha=hashlib.sha256(weights).hexdigest()[:16],
        kilobytes=round(len(weights) / 1000),
    )
    (options.out / "README.md").write_text(card, encoding="utf-8")


def train(num_steps: int, started: float) -> DigitClassifier:
    settings, root = CONFIG["training"], jax.random.key(CONFIG["training"]["seed"])
    images, labels = load_mnist("train")
    warmup, peak = min(200, num_steps // 10), settings["learning_rate"]
    rate = optax.warmup_cosine_decay_schedule(0.0, peak, warmup, num_steps)
    optimiser = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(rate, weight_decay=settings["weight_decay"])
    )
    classifier = average = DigitClassifier(**CONFIG["network"], key=root)
    state = optimiser.init(eqx.filter(classifier, eqx.is_array))
    recent = []
    for step in range(num_steps):
        epoch, offset = divmod(step * settings["batch_size"], len(images))
        order = np.random.default_rng([settings["seed"], epoch]).permutation(len(images))
        batch = np.take(order, np.arange(offset, offset + settings["batch_size"]), mode="wrap")
        classifier, average, state, loss = update(
            classifier,
            average,
            state,
            optimiser,
            jnp.asarray(images[batch]),
            jnp.asarray(labels[batch], jnp.int32),
            jax.random.fold_in(root, step),
            jnp.asarray(min(settings["ema_decay"], (1 + step) / (10 + step))),
        )
        recent.append(loss)
        if (step + 1) % 200 == 0:
            mean, seconds = float(np.mean(recent)), time.perf_counter() - started
            print(f"{seconds:6.0f} s  step {step + 1}  loss {mean:.4f}", flush=True)
            recent = []
    return average


@eqx.filter_jit
def update(classifier, average, state, optimiser, images, labels, key, decay):
    half = len(labels) // 2
    keys = jax.random.split(key)
    near = jax.random.uniform(keys[0], (half,), minval=-UPRIGHT, maxval=UPRIGHT)
    far = jax.random.uniform(keys[1], (len(labels) - half,), maxval=2 * jnp.pi)
    x = rotated_batch(images, jnp.concatenate([near, far]))
    turned = jnp.arange(len(labels)) >= half
    loss, gradient = eqx.filter_value_and_grad(cross_entropy)(classifier, x, labels, turned)
    updates, state = optimiser.update(gradient, state, eqx.filter(classifier, eqx.is_array))
    classifier = eqx.apply_updates(classifier, updates)
    mixed = jax.tree.map(
        lambda a, b: decay * a + (1 - decay) * b if eqx.is_inexact_array(a) else a,
        average,
        classifier,
    )
    return classifier, mixed, state, loss


def cross_entropy(classifier, x, labels, turned):
    logs = jax.nn.log_softmax(jax.vmap(classifier)(x))
    right = jax.nn.one_hot(labels, 10, dtype=bool)
    ambiguous = turned & jnp.isin(labels, EITHER)
    right = jnp.where(ambiguous[:, None], jnp.isin(jnp.arange(10), EITHER)[None], right)
    return -jnp.mean(jax.nn.logsumexp(jnp.where(right, logs, -jnp.inf), axis=1))


def accuracies(classifier) -> dict[str, float]:
    """On the 10,000 test digits: upright, turned without 6 and 9, turned with these as one."""
    images, labels = load_mnist("test")
    images, labels = jnp.asarray(images), np.asarray(labels)
    angles = jax.random.uniform(jax.random.key(1), (len(labels),), maxval=2 * jnp.pi)
    upright = predicted(classifier, images, jnp.zeros(len(labels)))
    turned = predicted(classifier, images, angles)
    either = np.isin(labels, EITHER)
    merged = np.where(np.isin(turned, EITHER), 6, turned) == np.where(either, 6, labels)
    return {
        "upright_accuracy": float(np.mean(upright == labels)),
        "turned_accuracy": float(np.mean((turned == labels)[~either])),
        "merged_accuracy": float(np.mean(merged)),
    }


@eqx.filter_jit
def predicted(classifier, images, angles):
    def one(pair):
        image, angle = pair
        return jnp.argmax(classifier(rotated_batch(image[None], angle[None])[0]))

    return jax.lax.map(one, (images, angles), batch_size=250)


if __name__ == "__main__":
    main()
