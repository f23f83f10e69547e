"""Every notebook runs at toy size, as a reader would run it, and its outputs are of its cells.

The cells know nothing of the tests: `TOY` replaces sizes, by the names that a notebook gives them.
"""

import ast
import importlib
import json
import re

import jax
import matplotlib.pyplot as plt
import pytest

from tests.source import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
LARGEST = 300_000  # bytes of a file

# Values by notebook and name, in the place of what cells assign to these names.
TOY = {
    "00_quickstart": {"grid": 12, "num_data": 60, "num_segments": 8},
    "10_scores_and_noise": {
        "num_data": 50,
        "num_pixels": 10,
        "num_starts": 4,
        "num_tracks": 4,
        "num_stops": 3,
    },
    "11_own_score": {"num_data": 400, "num_steps": 5, "width": 16},
    "12_choose_t_and_lambda": {
        "num_data": 20,
        "num_pixels": 10,
        "num_segments": 4,
        "max_steps": 5,
        "num_lams": 2,
    },
    "20_metrics": {"num_places": 3, "num_pixels": 10, "num_turns": 5, "max_steps": 20},
    "21_own_metric": {"counts": (8, 32)},
    "30_geodesics": {"counts": (4, 8), "num_pixels": 10, "num_ends": 3, "num_rays": 3},
    "31_metric_learning": {"num_pairs": 4, "num_steps": 12},
    "35_characters": {"num_segments": 4, "frames": 3, "num_angles": 8},
    "40_rotated_mnist": {
        "segments": 4,
        "drawing_steps": 2,
        "columns": 5,
        "names": ("LERP",),
        "num_fine": 10,
        "ratios": (1.0,),
        "every": 30.0,
        "num_nodes": 8,
        "max_steps": 2,
    },
    "50_robot_arm": {"rows": 200, "steps": 5, "width": 16, "pairs": 1, "segments": 4},
    "51_heartbeats": {"rows": 200, "steps": 5, "width": 16, "pairs": 1, "segments": 4},
    "60_torch": {"num_steps": 3},
    "61_stable_diffusion": {"num_segments": 2, "num_steps": 2},
}
# What holds after a run at toy size, of the names that the cells leave.
HOLDS = {
    "00_quickstart": "solution.successful and jnp.max(distances) < 0.3",
    "10_scores_and_noise": "jnp.all(jnp.isfinite(tracks))",
    "11_own_score": "len(losses) == num_steps and np.all(np.isfinite(losses))",
    "12_choose_t_and_lambda": "solutions[0].energy < solutions[1].energy",
    "20_metrics": "all(np.all(np.isfinite(m.flat(above, radial))) for m in metrics.values())",
    "21_own_metric": "abs(lengths(surface, south, north)[-1] - exact) < 1e-5",
    "30_geodesics": "miss < 1e-2",
    "31_metric_learning": "history[-1, 0] < history[0, 0]",
    "35_characters": "found.contrast.knows_the_chord",
    "40_rotated_mnist": "detour > 2",
    "50_robot_arm": "path.images.shape == (9, 6)",
    "51_heartbeats": "path.images.shape == (9, 96)",
    "60_torch": "abs(ours - theirs).max() < 1e-5",
    "61_stable_diffusion": "found.records['geodesic'].images.shape == (5, 3, 16, 16)",
}
NEEDS = {"60_torch": "torch", "61_stable_diffusion": "transformers"}


def cells_of(path, kind):
    """The cells of a kind, "code" or "markdown", but for the one that installs geojax."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tags = [cell["metadata"].get("tags", []) for cell in cells]
    return [
        cell
        for cell, own in zip(cells, tags, strict=True)
        if cell["cell_type"] == kind and "install" not in own
    ]


def smaller(tree, values):
    """Replaces what a cell assigns to the names of `values`. **Returns:** the names it met."""
    met = set()

    def value_of(target, value):
        if not isinstance(target, ast.Name) or target.id not in values:
            return value
        met.add(target.id)
        return ast.parse(repr(values[target.id]), mode="eval").body

    for node in tree.body:
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=True)
                node.value.elts = [value_of(name, value) for name, value in pairs]
            else:
                node.value = value_of(target, node.value)
    ast.fix_missing_locations(tree)
    return met


@pytest.fixture
def script(monkeypatch):
    """`notebooks/execute.py`, which wrote the outputs."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("execute")


def test_they_are_numbered_and_in_the_table_of_contents():
    assert NOTEBOOKS and all(re.match(r"\d\d_", name) for name in NOTEBOOKS)
    listed = re.findall(r"\[`(\w+)`\]\((\w+)\.ipynb\)", (FOLDER / "README.md").read_text("utf-8"))
    assert listed == [(name, name) for name in NOTEBOOKS]
    assert set(TOY) == set(HOLDS) == set(NOTEBOOKS)


def test_every_notebook_can_be_opened_in_colab(script):
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert script.linked(readme) == readme
    for name, path in NOTEBOOKS.items():
        link = f"/github/{script.REPOSITORY}/blob/main/notebooks/{name}.ipynb)"
        assert link in readme
        assert link in "".join(cells_of(path, "markdown")[0]["source"])
        text = path.read_text(encoding="utf-8")
        (install,) = (
            c for c in json.loads(text)["cells"] if "install" in c["metadata"].get("tags", ())
        )
        assert "geojax-diffusion" in "".join(install["source"]) and not install["outputs"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_outputs_are_of_these_cells_and_clean(name, script):
    path = NOTEBOOKS[name]
    notebook = json.loads(path.read_text(encoding="utf-8"))
    executed = notebook["metadata"].get("geojax", {}).get("executed")
    assert executed == script.digest(notebook), (
        f"cells changed after the outputs: python notebooks/execute.py {name[:2]}"
    )
    assert path.stat().st_size < LARGEST
    pictures = 0
    for cell in cells_of(path, "code"):
        for output in cell["outputs"]:
            assert output["output_type"] in ("stream", "display_data", "execute_result")
            assert output.get("name") != "stderr"
            data = output.get("data", {})
            pictures += "image/png" in data
            text = "".join(output.get("text", ())) + "".join(data.get("text/plain", ()))
            assert not re.search(r"(?<![\w.)\]])/\w[\w.-]*/|[A-Z]:\\| at 0x|Traceback", text), text
    assert pictures, "no picture"


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name, monkeypatch):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    namespace, toy, met = {"__name__": "__main__"}, TOY.get(name, {}), set()
    # A reader has jax's own settings, not the strict ones of the tests.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for number, cell in enumerate(cells_of(NOTEBOOKS[name], "code")):
            tree = ast.parse("".join(cell["source"]))
            met |= smaller(tree, toy)
            exec(compile(tree, f"{name}[{number}]", "exec"), namespace)
        assert met == set(toy), "TOY names what the notebook does not assign"
        assert eval(HOLDS[name], namespace), HOLDS[name]
    plt.close("all")
