"""Measure the bundled model and write its card: README.md, card.json and three pictures.

    python models/rotated_mnist/make_card.py [--checkpoint DIR] [--out DIR]

It needs MNIST (`GEOJAX_DATA_DIR`, or it is downloaded) and a few minutes on two CPU cores. All keys
are fixed, so that the figures repeat to the digits shown on one kind of machine.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from card_text import card
from digits import LEVELS, NULL, NUM_DIGITS, Digits
from matplotlib.figure import Figure
from noise_errors import noise_errors

from geojax.models import load_checkpoint, loss_history, rotated_batch
from geojax.plotting import loss_curve, sample_sheet, save_figure
from geojax.scores import ClassifierFreeGuidance, sample

sys.path.append(str(Path(__file__).resolve().parents[1]))
from revision import commit

NUM_PROBES = 16
GUIDANCE = 2.0
DRAWN_A_CLASS = 8
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=HERE, help="default: this folder")
    parser.add_argument("--out", type=Path, default=HERE, help="default: this folder")
    options = parser.parse_args()
    score, config = load_checkpoint(options.checkpoint)
    history = loss_history(options.checkpoint)
    digits = Digits()
    started = time.perf_counter()
    card_data: dict[str, Any] = {
        "config": config,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(score)),
        "weights": about_weights(options.checkpoint / "model.safetensors"),
        "training": about_training(history),
        "levels": [
            {"t": t, "noise_to_signal": float(score.schedule.noise_to_signal(t))} for t in LEVELS
        ],
        "settings": {"num_digits": NUM_DIGITS, "num_probes": NUM_PROBES, "guidance": GUIDANCE}
        | {"num_drawn": 10 * DRAWN_A_CLASS},
    }
    for measure in (noise_errors, asymmetry, contrast):
        for row, found in zip(card_data["levels"], measure(score, digits), strict=True):
            row |= found
        report(f"measured {measure.__name__}", started)
    card_data["detour"] = detour(digits)
    drawn, card_data["recognised"] = draw_samples(score, digits)
    report("drew samples", started)
    card_data["machine"] = about_machine()
    save_figure(drawn, options.out / "samples.png", dpi=130)
    save_figure(errors_figure(card_data["levels"]), options.out / "errors.png", dpi=130)
    if history:
        save_figure(loss_curve(history), options.out / "loss.png", dpi=130)
    card_data["machine"]["seconds"] = round(time.perf_counter() - started)
    (options.out / "card.json").write_text(json.dumps(card_data, indent=2) + "\n")
    (options.out / "README.md").write_text(card(card_data))
    report(f"wrote the card into {options.out}", started)


def report(what: str, started: float) -> None:
    print(f"{time.perf_counter() - started:6.0f} s  {what}", flush=True)


def asymmetry(score, digits: Digits) -> list[dict[str, float]]:
    """The median of |(J - J^T) v| / |J v|, J the Jacobian of the score at noised digits.

    `v` is random, or the difference of two (clean) digits.
    """
    keys = jax.random.split(jax.random.key(22))
    clean = jnp.asarray(digits.test[:NUM_PROBES])
    eps = jax.random.normal(keys[0], clean.shape)
    directions = {
        "random": jax.random.normal(keys[1], clean.shape),
        "digits": jnp.asarray(digits.test[NUM_PROBES : 2 * NUM_PROBES]) - clean,
    }
    labels = digits.labels[:NUM_PROBES]
    rows = []
    for t in LEVELS:
        xs = score.schedule.alpha(t) * clean + score.schedule.sigma(t) * eps
        ratios = {
            k: _asymmetries(score, xs, v, jnp.asarray(t), labels) for k, v in directions.items()
        }
        rows.append({f"asymmetry_{k}": float(jnp.median(r)) for k, r in ratios.items()})
    return rows


@eqx.filter_jit
def _asymmetries(score, xs, vs, t, labels):
    def one(x, v, label):
        at_level = lambda x: score(x, t, label)  # noqa: E731
        _, jv = jax.jvp(at_level, (x,), (v,))
        _, pull = jax.vjp(at_level, x)
        return jnp.linalg.norm(jv - pull(v)[0]) / jnp.linalg.norm(jv)

    return jax.vmap(one)(xs, vs, labels)


def contrast(score, digits: Digits) -> list[dict[str, float]]:
    """The residual of the denoiser in the middle of LERP, relative to that of a real digit.

    LERP is between a digit at some angle and the same digit 90 degrees further. The residual is
    |x - D(x)|, and the real digit is the one turned by 45 degrees, which is the true middle. D is
    the denoised point averaged over fixed antithetic noises (`probed`), or evaluated at the clean
    point alpha x itself (`clean`). The figure is the median over digits.
    """
    angles = digits.angles[:NUM_PROBES]
    upright = digits.upright[:NUM_PROBES]
    start, true, end = (rotated_batch(upright, angles + k * np.pi / 4) for k in range(3))
    middle = (start + end) / 2
    noise = jax.random.normal(jax.random.key(23), (8, *start.shape[1:]))
    probes = {"probed": jnp.concatenate([noise, -noise]), "clean": jnp.zeros_like(noise[:1])}
    rows = []
    for t in LEVELS:
        if t == 1:  # no signal is left: the residual there is the network's error over alpha
            rows.append({})
            continue
        row = {}
        for name, eps in probes.items():
            at_middle, at_true = (
                _residuals(score, xs, eps, jnp.asarray(t), digits.labels[:NUM_PROBES])
                for xs in (middle, true)
            )
            row[f"contrast_{name}"] = float(jnp.median(at_middle / at_true))
        rows.append(row)
    return rows


@eqx.filter_jit
def _residuals(score, xs, probes, t, labels):
    def one(pair):
        x, label = pair
        noised = jax.vmap(lambda eps: score.schedule.add_noise(x, eps, t))(probes)
        denoised = jax.vmap(lambda y: score.denoised(y, t, label))(noised)
        return jnp.linalg.norm(x - jnp.mean(denoised, axis=0))

    return jax.lax.map(one, (xs, labels), batch_size=4)


def detour(digits: Digits) -> float:
    """The length of a digit's turn by 90 degrees over that of the straight line: the median."""
    upright, angles = digits.upright[:NUM_PROBES], digits.angles[:NUM_PROBES]
    path = jnp.stack([rotated_batch(upright, angles + np.pi / 2 * k / 45) for k in range(46)])
    path = path.reshape(46, NUM_PROBES, -1)
    length = jnp.sum(jnp.linalg.norm(path[1:] - path[:-1], axis=2), axis=0)
    return float(jnp.median(length / jnp.linalg.norm(path[-1] - path[0], axis=1)))


def draw_samples(score, digits: Digits) -> tuple[Figure, dict[str, float]]:
    """A row for each class: test digits, samples of the conditional score, samples with guidance.

    Also the share of each that a nearest-neighbour classifier assigns to the right class.
    """
    labels = jnp.repeat(jnp.arange(10), DRAWN_A_CLASS)
    keys = jax.random.split(jax.random.key(24), len(labels))
    guided = ClassifierFreeGuidance(score, GUIDANCE, jnp.asarray(NULL))
    plain, sharper = (_drawn(s, keys, labels) for s in (score, guided))
    recognised = {
        "test": digits.recognised(digits.test, digits.labels),
        "drawn": digits.recognised(plain, labels),
        "guided": digits.recognised(sharper, labels),
    }
    real = [digits.test[np.flatnonzero(digits.labels == c)[:3], 0] for c in range(10)]
    sheets = [x.reshape(10, DRAWN_A_CLASS, 28, 28)[:, :5] for x in (plain, sharper)]
    blocks = {
        "real test digits": np.stack(real),
        "drawn by the model": sheets[0],
        f"drawn from the same noise with guidance {GUIDANCE:g}": sheets[1],
    }
    title = "A row a class: turned digits of MNIST, and what the model draws"
    return sample_sheet(blocks, row_labels=[str(c) for c in range(10)], title=title), recognised


@eqx.filter_jit
def _sampled(score, keys, labels):
    one = lambda pair: sample(score, (1, 28, 28), key=pair[0], args=pair[1])  # noqa: E731
    return jax.lax.map(one, (keys, labels), batch_size=20)


def _drawn(score, keys, labels) -> np.ndarray:
    return np.asarray(_sampled(score, keys, labels))


def errors_figure(levels: list[dict[str, float]]) -> Figure:
    """By noise level: the noise-prediction error, the contrast, and the Jacobian's asymmetry."""
    figure = Figure(figsize=(14.5, 4.4), layout="constrained")
    errors, contrasts, asymmetries = figure.subplots(1, 3, width_ratios=[4, 3, 3])
    lines = [
        ("error_training_set", "exact score of all training digits", "C1", "--"),
        ("error_class_training_set", "exact score of those of its class", "C1", "-"),
        ("error_linear", "best linear prediction", "0.5", "-"),
        ("error_network_null", "network, no label", "C0", "--"),
        ("error_network_label", "network, label given", "C0", "-"),
    ]
    relative = [
        {"t": row["t"]} | {k: row[k] / row["error_linear"] for k, *_ in lines} for row in levels
    ]
    draw(errors, relative, lines)
    errors.set_yscale("log")
    errors.set_yticks([0.3, 1, 3, 10, 30], ["0.3", "1", "3", "10", "30"])
    errors.minorticks_off()
    errors.set_title(
        "How well is the noise predicted on unseen digits?\n(lower is better)", fontsize=11
    )
    errors.set_ylabel("mean squared error,\nrelative to the best linear prediction")
    lines = [
        ("contrast_clean", "D at the clean point", "C2", "--"),
        ("contrast_probed", "D averaged over noises", "C2", "-"),
    ]
    draw(contrasts, levels, lines)
    bottom = min(contrasts.get_ylim()[0], 0.9)
    contrasts.axhspan(bottom, 1, color="0.85", lw=0, zorder=0, label="takes the cross-fade for one")
    contrasts.set_ylim(bottom=bottom)
    contrasts.legend(fontsize=9)
    contrasts.set_title(
        "How much less like a digit is the middle of LERP\nthan the digit turned half-way?",
        fontsize=11,
    )
    contrasts.set_ylabel("ratio of the residuals |x - D(x)|")
    lines = [
        ("asymmetry_digits", "v between two digits", "C3", "-"),
        ("asymmetry_random", "v random", "C3", "--"),
    ]
    draw(asymmetries, levels, lines)
    asymmetries.set_ylim(bottom=0)
    asymmetries.set_title("How far from a gradient is the score?\n(0: J is symmetric)", fontsize=11)
    asymmetries.set_ylabel("|(J - J$^T$) v| / |J v|")
    return figure


def draw(axes, levels: list[dict[str, float]], lines: list[tuple[str, str, str, str]]) -> None:
    for key, name, colour, style in lines:
        rows = [row for row in levels if key in row]
        x, y = [row["t"] for row in rows], [row[key] for row in rows]
        axes.plot(x, y, style, color=colour, marker=".", label=name)
    axes.set_xlabel("noise level t")
    axes.set_xlim(0, 1.02)
    axes.grid(True, which="both", alpha=0.2)
    axes.legend(fontsize=9)


def about_weights(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def about_training(history) -> dict[str, Any]:
    if not history:
        return {}
    step, loss, held_out = history[-1]
    return {"steps": step, "loss": loss, "held_out_loss": held_out}


def about_machine() -> dict[str, Any]:
    packages = ("jax", "equinox", "diffrax", "numpy")
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "commit": commit(),
    }


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
