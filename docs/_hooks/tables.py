"""Tables of the result files of `benchmarks/results`, each with its origin."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import experiment_tables
import scale_tables
from markdown_table import markdown

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def table(name: str) -> str:
    """A table by its name in `TABLES`, with machine, versions and commit."""
    file, make = TABLES[name]
    content = json.loads((RESULTS / file).read_text(encoding="utf-8"))
    return f"{make(content)}\n\n{origin(content, file)}"


def origin(content: Mapping[str, Any], file: str) -> str:
    """One line: the machine and versions of the rows of a result file."""
    about = content.get("about") or content.get("origin") or next(_origins(content))
    machine, versions = about["machine"], dict(about["versions"])
    commits = {row["commit"] for row in content.get("rows", []) if "commit" in row}
    commits |= set(about.get("rows_measured_at_commit", "").split(", ")) - {""}
    where = f"{machine['processor']}, {machine['cpu_count']} CPUs, {machine['device']}"
    what = ", ".join(f"{package} {version}" for package, version in versions.items())
    at = ", ".join(f"`{commit}`" for commit in sorted(commits) or [about["commit"]])
    changed = ", sources changed since" if about["uncommitted_changes"] else ""
    notes = "".join(f" {note}" for note in content.get("notes", []))
    text = f"{where}; {what}; commit {at}{changed}; {about['date']}. `benchmarks/results/{file}`."
    return f"Measured on {text}{notes}\n{{ .origin }}"


def _origins(content: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The origins of a file, of which each section may have one."""
    sections = content.get("origins", content)
    return iter([section.get("origin", section) for section in sections.values()])


def solvers(content: Mapping[str, Any]) -> str:
    """Solvers on the bundled network: medians and ranges over the pairs."""
    names = {
        "GaussNewton()": "`GaussNewton()`, all checks included",
        "Adam 1e-3, cosine, 500 steps": "Adam 1e-3, cosine, 500 steps (published)",
        "Adam 1e-2, 2,000 steps": "Adam 1e-2, 2,000 steps",
    }
    columns = ("steps", "score_evaluations", "score_products", "energy", "energy_fine")
    rows = []
    for solver, shown in names.items():
        of_it = [row for row in content["network"]["rows"] if row["solver"] == solver]
        good = sum(row["verdict"] == "successful" for row in of_it)
        cells = [_median_and_range([row[column] for row in of_it]) for column in columns]
        rows.append([shown, f"{good} of {len(of_it)}", *cells])
    head = "solver|successful|steps|score evaluations|and products|energy|fine energy"
    return markdown(head.split("|"), rows)


def _median_and_range(values: Sequence[float]) -> str:
    median, low, high = (_three(v) for v in (statistics.median(values), min(values), max(values)))
    return median if low == high else f"{median} ({low} to {high})"


def _three(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def curves(content: Mapping[str, Any]) -> str:
    """Energies of the same nodes as a polyline and as a spline: relative errors."""
    columns = ("midpoint", "polyline", "spline", "galerkin", "galerkin_fine", "length")
    names = {
        "ring": "ring, D = 50, uneven radii, λ = 1",
        "stiff": "stiff ring, D = 50, λ = 10",
        "half-plane": "half-plane, (0, 1) to (2, 1)",
    }
    rows = [
        [names[row["problem"]], row["num_segments"], *(f"{row[column]:.1e}" for column in columns)]
        for row in content["rows"]
    ]
    head = "problem|segments|midpoint rule|its polyline|spline through its nodes|`SplineGauss`"
    return markdown([*head.split("|"), "its fine energy", "its length"], rows)


def peers(content: Mapping[str, Any]) -> str:
    """Time to the best energy of a peer, over that of `GaussNewton` to the same energy."""
    dimensions = sorted({row["dimension"] for row in content["rows"]})
    solvers = sorted({row["solver"] for row in content["comparison"]})
    cells: dict[tuple[str, int], str] = {}
    for entry in content["comparison"]:
        if entry["problem"] != "ring":
            continue
        best = entry["to"][-1] if entry["to"] else {}
        seconds, ours = best.get("seconds"), best.get("gauss_newton_seconds")
        place = entry["solver"], entry["dimension"]
        cells[place] = f"{_ratio(seconds / ours)}" if seconds and ours else "not finished"
    rows = [[name, *(cells.get((name, d), "not run") for d in dimensions)] for name in solvers]
    return markdown(["solver", *(f"D = {d:,}" for d in dimensions)], rows)


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def fails_safely(content: Mapping[str, Any]) -> str:
    """By solver: the answers reported as successful, and how many of these were wrong."""
    solvers = list(dict.fromkeys(row["solver"] for row in content["rows"]))
    rows = []
    for solver in solvers:
        of_it = [row for row in content["rows"] if row["solver"] == solver]
        names = ("problems", "called_good", "wrong_but_called_good")
        rows.append([solver, len(of_it), *(sum(row[name] for row in of_it) for name in names)])
    head = "solver|classes of problems|problems|called successful|of these wrong"
    return markdown(head.split("|"), rows)


def manifolds(content: Mapping[str, Any]) -> str:
    """`Newton` and GEORCE on the manifolds of GEORCE's own benchmark."""
    rows = []
    for row in content["rows"]:
        newton, georce = row["Newton"]["32"], row["Georce"]["32"]
        equal = row["at_equal_energy"]
        rows.append(
            [
                row["manifold"],
                row["coordinates"],
                newton["steps"],
                georce["steps"],
                f"{row['at_equal_N']['32']['energy']:.0e}",
                f"{row['at_equal_N']['32']['seconds']:.2f}",
                "–" if equal is None else f"{equal['seconds']:.2f}",
            ]
        )
    head = "manifold|coordinates|steps of Newton|of GEORCE|excess of Newton's energy over GEORCE's"
    times = ["Newton's time over GEORCE's", "the same to GEORCE's energy at 100 segments"]
    return markdown([*head.split("|"), *times], rows)


def mixtures(content: Mapping[str, Any]) -> str:
    """Hard cases between distant modes."""
    rows = []
    for row in content["rows"]:
        plain, default, robust = (row[k] for k in ("without_curvature", "default", "robust"))
        cells = [f"{row['lam']:g}", row["seed"], _ending(plain), _ending(default)]
        cells += [f"{default['energy_fine']:.4g}", f"{robust['energy_fine']:.4g}"]
        cells += [robust["num_segments"], f"{robust['length_over_bound']:.2f}"]
        rows.append([row["dimension"], *cells])
    head = "D|lam|seed|without exact curvature|default|its energy|`robust_geodesic`|segments"
    return markdown([*head.split("|"), "length over bound"], rows)


def _ending(found: Mapping[str, Any]) -> str:
    verdict = found["verdict"].partition(".")[0]
    if verdict == "successful":
        return f"{found['steps']} steps"
    short = "used up its steps" if "used up" in verdict else verdict.partition(",")[0]
    return f"{found['steps']} steps, {short.removeprefix('The path is ')}"


def batches(content: Mapping[str, Any]) -> str:
    """Score evaluations that run over those that are needed, by strategy."""
    strategies = list(dict.fromkeys(row["strategy"] for row in content["rows"]))
    found = {(row["strategy"], row["mix"]): row for row in content["rows"]}
    names = {"queue, 16": "`geodesic_batch`, 16 at once", "vmap": "one `jax.vmap`"}
    rows = [
        [
            names.get(strategy, strategy),
            *(f"{found[strategy, mix]['executed_over_needed']:.1f}" for mix in ("easy", "hard")),
        ]
        for strategy in strategies
    ]
    return markdown(["how", "all easy", "2 % stiff, 1 % that fail"], rows)


def from_torch(content: Mapping[str, Any]) -> str:
    """Converted torch modules: errors, and times of torch over ours."""
    rows = []
    for row in content["rows"]:
        errors, seconds = row["errors"], row["seconds"]
        ratios = [
            f"{seconds[f'{name} by torch'] / seconds[name]:.1f}"
            if seconds.get(f"{name} by torch") and seconds.get(name)
            else "–"
            for name in ("forward", "VJP")
        ]
        shown = [f"{errors[n]:.1e}" if n in errors else "–" for n in ("forward", "JVP", "VJP")]
        cells = [row["operations"], *shown, f"{row['seconds_to_convert']:.1f}", *ratios]
        rows.append([row["network"], *cells])
    head = "network|operations|forward|JVP|VJP|converted in, s|torch's time over ours|of a VJP"
    return markdown(head.split("|"), rows)


def contrast(content: Mapping[str, Any]) -> str:
    """Contrast by noise level, and the detour."""
    levels = ("0.05", "0.2", "0.4")
    rows = [
        [
            row["space"],
            row["pairs of"],
            *(f"{row['contrast'][level]:.3g}" for level in levels),
            "–" if row["detour"] is None else f"{row['detour']:.2f}",
        ]
        for row in content["rows"]
    ]
    return markdown(["space", "pairs", *(f"t = {level}" for level in levels), "detour"], rows)


def parity(content: Mapping[str, Any]) -> str:
    """A forward pass of the full-size U-Net here and by diffusers."""
    error, shape = content["relative_error"], " x ".join(map(str, content["latents"]))
    peak = f"{content['peak_gib']['process']:.1f}"
    row = [content["model"], f"{content['parameters']:,}", shape, f"{error['norm']:.1e}", peak]
    return markdown(["Stable Diffusion", "parameters", "latents", "error", "memory, GiB"], [row])


def stable_diffusion(content: Mapping[str, Any]) -> str:
    """Geodesics by rule and solver: evaluations, seconds, energy over the lowest one."""
    rows = [
        [
            row["rule and solver"],
            row["result"].partition(".")[0],
            row["steps"],
            f"{row['unet_evaluations']:,}",
            f"{row['unet_products']:,}",
            f"{row['seconds']:.2f}",
            f"{row['excess']:.1%}",
        ]
        for row in content["geodesic"]["rows"]
    ]
    head = "rule and solver|verdict|steps|evaluations|products|seconds|energy above the lowest"
    return markdown(head.split("|"), rows)


TABLES: dict[str, tuple[str, Callable[[Mapping[str, Any]], str]]] = {
    "solvers": ("solvers.json", solvers),
    "curves": ("curves.json", curves),
    "peers": ("work_precision.json", peers),
    "fails safely": ("fails_safely.json", fails_safely),
    "manifolds": ("manifolds.json", manifolds),
    "mixtures": ("mixtures.json", mixtures),
    "batches": ("batches.json", batches),
    "from torch": ("from_torch.json", from_torch),
    "contrast": ("contrast.json", contrast),
    "parity 1.5": ("full_size_parity_1.5.json", parity),
    "parity 2.1": ("full_size_parity_2.1.json", parity),
    "stable diffusion toy": ("stable_diffusion_toy.json", stable_diffusion),
    **experiment_tables.TABLES,
    **scale_tables.TABLES,
}
