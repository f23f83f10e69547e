"""Why geodesics of the bundled network do not follow a turning digit, and when they would.

    python benchmarks/turning_digit.py              # about half an hour on two cores
    python benchmarks/turning_digit.py --digits 2   # fewer digits

Test digits are turned by 90 degrees from a random angle; the truth is the rotation. The truth can
be a geodesic only if it is shorter than the straight line. Section `lengths` compares the two
lengths in each part of a metric, by noise level sigma / alpha, for points without noise and scores
averaged over fixed probes:

- `chord`: the Euclidean length;
- `norm`: the mean of sigma |s|, the factor of lengths in `ScoreNormMetric`;
- `stein`: the integral of sigma |<s, v>|, the length in s s^T alone;
- `jacobian`: the integral of sigma^2 |J v|, the length in J^T J alone.

Each is computed for the network, and for the exact score of the digit's own turns (every 2
degrees), with which geodesics do follow the turn.

Section `starts` solves for geodesics of (1 + lam |s|^2)^4 I + I + lam_s s s^T with the network from
three starts: the straight line, the shortest path through training digits of its class turned by
random angles (without this digit), and the truth. It reports fine energies, the distance from the
truth, and the residual of the network in the middle relative to that at the ends; below 1 the
middle is fainter than data.

A section keeps the rows of the other one in the result file. Each has its own origin.
"""

import argparse
import functools
import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import optimistix as optx
from jaxtyping import Array, Float
from record import ROOT, origin, save

import geojax
from geojax.models import load, load_mnist, rotated_batch
from geojax.scores import VE, Empirical, probe_averaged

RESULTS = ROOT / "benchmarks" / "results" / "turning_digit.json"
RATIOS = (0.1, 0.2, 0.3, 0.5, 0.9, 2.0)  # sigma / alpha
TURN = 90.0
PARTS = ("chord", "norm", "stein", "jacobian")
NUM_PROBES = 2
STARTS = {"ratio": 0.3, "segments": 16, "steps": 60, "samples": 10_000, "lam_stein": 1600.0}


def digits(count: int) -> list[tuple[np.ndarray, int, float]]:
    """Test images without 6 and 9, their classes, and angles to start from."""
    images, labels = load_mnist("test")
    chosen = [i for i in range(len(labels)) if labels[i] not in (6, 9)][:count]
    angles = np.random.default_rng(0).uniform(0, 360, count)
    return [(images[i], int(labels[i]), float(a)) for i, a in zip(chosen, angles, strict=True)]


def turned(image: np.ndarray, degrees: np.ndarray) -> Float[Array, "n 1 28 28"]:
    """The image at several angles."""
    copies = jnp.broadcast_to(jnp.asarray(image), (len(degrees), 28, 28))
    return rotated_batch(copies, jnp.deg2rad(jnp.asarray(degrees, jnp.float32)))


def level(schedule: Any, ratio: float) -> float:
    """The time at which sigma / alpha is `ratio`."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        above = schedule.sigma(middle) > ratio * schedule.alpha(middle)
        low, high = (low, middle) if above else (middle, high)
    return high


@eqx.filter_jit
def lengths(score: Any, path: Float[Array, "nodes *shape"], label: Any) -> dict[str, Array]:
    """Lengths of a path in the parts of metrics; `score` has no unit."""
    middles, steps = (path[1:] + path[:-1]) / 2, jnp.diff(path, axis=0)

    def of(x, v):
        s, jv = jax.jvp(lambda y: score(y, label), (x,), (v,))
        return jnp.linalg.norm(v), jnp.linalg.norm(s), jnp.abs(jnp.vdot(s, v)), jnp.linalg.norm(jv)

    chord, norm, stein, jacobian = jax.lax.map(lambda pair: of(*pair), (middles, steps))
    return {
        "chord": jnp.sum(chord),
        "norm": jnp.mean(norm),
        "stein": jnp.sum(stein),
        "jacobian": jnp.sum(jacobian),
    }


def straight(path, count: int) -> Float[Array, "nodes *shape"]:
    """The straight line between the ends of a path."""
    return geojax.Lerp()(path[0], path[-1], jnp.linspace(0, 1, count + 1, dtype=path.dtype))


def lengths_rows(chosen: list) -> list[dict[str, Any]]:
    """Truth and straight line by noise level, network and exact score: means over the digits."""
    network = load("rotated_mnist")
    rows = []
    for ratio in RATIOS:
        found: dict[str, list] = {}
        t = level(network.schedule, ratio)
        learned = probe_averaged(
            network, t, (1, 28, 28), NUM_PROBES, key=jax.random.key(0), unit_free=True
        )
        for image, label, angle in chosen:
            truth = turned(image, np.linspace(angle, angle + TURN, 65))
            orbit = turned(image, np.arange(0.0, 360.0, 2.0) + angle)
            own = Empirical(orbit, VE(0.01, 10.0)).at(level(VE(0.01, 10.0), ratio))
            exact = functools.partial(_scaled, own, ratio)
            for name, score in (("network", learned), ("exact", exact)):
                for way, path in (("truth", truth), ("line", straight(truth, 64))):
                    of = lengths(eqx.Partial(score), path, label if name == "network" else None)
                    found.setdefault((name, way), []).append([float(of[p]) for p in PARTS])
        row: dict[str, Any] = {"sigma_over_alpha": ratio, "t": t, "digits": len(chosen)}
        for (name, way), values in found.items():
            row |= {f"{name}_{way}_{p}": float(np.mean(values, 0)[k]) for k, p in enumerate(PARTS)}
        for name in ("network", "exact"):
            for k, p in enumerate(PARTS):
                shares = np.array(found[name, "line"])[:, k] / np.array(found[name, "truth"])[:, k]
                row[f"{name}_{p}_line_over_truth"] = float(np.mean(shares))
                row[f"{name}_{p}_line_over_truth_se"] = _standard_error(shares)
        print({k: v for k, v in row.items() if k.endswith("line_over_truth")}, flush=True)
        rows.append(row)
    return rows


def _scaled(score, ratio, x, args=None):
    return ratio * score(x)


def _standard_error(values: np.ndarray) -> float | None:
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None


@eqx.filter_jit
def solve(metric, start, label):
    """A geodesic by L-BFGS from a start."""
    return geojax.geodesic(
        metric,
        start[0],
        start[-1],
        solver=geojax.PathEnergy(optx.LBFGS(1e-6, 1e-6)),
        args=label,
        init=start,
        num_segments=len(start) - 1,
        max_steps=STARTS["steps"],
        diagnostics="price",
        throw=False,
    )


def psnr(path, truth) -> float:
    """The PSNR in decibels of the points between the ends, at the same times; pixels in [-1, 1]."""
    errors = jnp.mean((jnp.clip(path, -1, 1) - truth)[1:-1] ** 2, axis=(1, 2, 3))
    return float(jnp.mean(10 * jnp.log10(4 / errors)))


def starts_rows(chosen: list) -> list[dict[str, Any]]:
    """The solutions by start."""
    network, n = load("rotated_mnist"), STARTS["segments"]
    t = level(network.schedule, STARTS["ratio"])
    score = probe_averaged(network, t, (1, 28, 28), 1, key=jax.random.key(0), unit_free=True)
    norm = eqx.filter_jit(lambda x, label: jnp.linalg.norm(score(x, label)))
    images, labels = load_mnist("train")
    images, labels = images[: STARTS["samples"]], labels[: STARTS["samples"]]
    angles = np.random.default_rng(1).uniform(0, 360, len(images))
    times = jnp.linspace(0, 1, n + 1)
    rows = []
    for number, (image, label, angle) in enumerate(chosen):
        truth = turned(image, np.linspace(angle, angle + TURN, n + 1))
        ends = jnp.asarray([norm(truth[k], label) for k in (0, -1)])
        unit = 1 / jnp.mean(ends**2)
        metric = geojax.ScoreNormMetric(score, unit, 4.0) + geojax.SteinScoreMetric(
            score, STARTS["lam_stein"] * unit
        )
        of_class = labels == label
        samples = rotated_batch(
            jnp.asarray(images[of_class]), jnp.deg2rad(jnp.asarray(angles[of_class], jnp.float32))
        )
        through = geojax.neighbour_path(samples, truth[0], truth[-1])
        walked = jnp.cumsum(
            jnp.linalg.norm(jnp.diff(through, axis=0).reshape(len(through) - 1, -1), axis=1)
        )
        walked = jnp.concatenate([jnp.zeros(1), walked / walked[-1]])
        flat = through.reshape(len(through), -1)
        even = jax.vmap(lambda c, w=walked: jnp.interp(times, w, c), 1, 1)(flat)
        starts = {
            "line": straight(truth, n),
            "samples": even.reshape(n + 1, 1, 28, 28),
            "truth": truth,
        }
        for name, start in starts.items():
            solution = solve(metric, start, label)
            middle = solution.curve.xs[n // 2]
            row = {
                "digit": number,
                "class": label,
                "start": name,
                "psnr_of_start": None if name == "truth" else psnr(start, truth),
                "psnr": psnr(solution.curve.xs, truth),
                "energy": float(solution.energy),
                "energy_fine": float(solution.stats["energy_fine"]),
                "residual_in_the_middle": float(norm(middle, label) ** 2 * unit),
                "residual_in_the_middle_of_start": float(norm(start[n // 2], label) ** 2 * unit),
                "score_evaluations": int(solution.stats["score_evaluations"]),
                "verdict": solution.message.split(".")[0].split(":")[0],
            }
            print(row, flush=True)
            rows.append(row)
    return rows


def figure(rows: list[dict[str, Any]]) -> matplotlib.figure.Figure:
    """The ratio of the two lengths, by noise level and part of the metric."""
    drawing = matplotlib.figure.Figure(figsize=(9, 3.8), layout="constrained")
    panels = drawing.subplots(1, 2, sharey=True)
    words = {
        "chord": "Euclidean length",
        "norm": "|s| (mean along the way)",
        "stein": "length in s sᵀ",
        "jacobian": "length in Jᵀ J",
    }
    titles = {"network": "under the bundled network", "exact": "under the exact score of its turns"}
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        for part, word in words.items():
            axes.errorbar(
                [row["sigma_over_alpha"] for row in rows],
                [row[f"{name}_{part}_line_over_truth"] for row in rows],
                [row[f"{name}_{part}_line_over_truth_se"] or 0 for row in rows],
                marker="o",
                ms=4,
                label=word,
            )
        axes.axhline(1, color="black", lw=0.8)
        axes.set(xscale="log", yscale="log", xlabel="noise level σ/α", title=title)
        axes.grid(True, alpha=0.3)
    panels[0].set_ylabel("straight line / turning digit\n(below 1: the line is shorter)")
    panels[0].legend(fontsize=8)
    return drawing


def main() -> None:
    """Run the sections named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sections = {"lengths": lengths_rows, "starts": starts_rows}
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(sections)}; default both")
    parser.add_argument("--digits", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if unknown := set(options.sections) - set(sections):
        parser.error(f"unknown section {sorted(unknown)}; choose from {', '.join(sections)}")
    kept = json.loads(options.out.read_text()) if options.out.is_file() else {}
    result = {"settings": {"turn": TURN, "probes": NUM_PROBES, **STARTS}, "origins": {}} | kept
    for name in options.sections or sections:
        result[name] = sections[name](digits(options.digits))
        result["origins"][name] = origin()
        save(options.out, result)
    if "lengths" in (options.sections or sections):
        figure(result["lengths"]).savefig(options.out.with_suffix(".png"), dpi=110)


if __name__ == "__main__":
    main()
