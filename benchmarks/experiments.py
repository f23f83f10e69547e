"""The tables of an experiment with their origin: machine, versions, commit.

    python benchmarks/experiments.py rotated-mnist --quick --rows FOLDER

This runs the same as `geojax reproduce rotated-mnist --quick`, and stores its rows in FOLDER. It
resumes from rows there, also from those of the command. Everything else is copied to
results/rotated_mnist_quick/, from which the documentation site makes its tables
(docs/_hooks/experiment_tables.py). With --so-far nothing is measured, and the tables are of the
rows in FOLDER.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import jax
from record import ROOT, origin

EXPERIMENTS = ("synthetic", "rotated-mnist", "characters")
RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    """Run the experiment and copy its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--pairs", type=int, help="of each kind, every method on all of them")
    parser.add_argument("--controls", action="store_true", help="of rotated-mnist: those alone")
    parser.add_argument(
        "--rows", type=Path, required=True, help="where rows are kept, and taken up again"
    )
    parser.add_argument("--so-far", action="store_true", help="measure nothing more")
    parser.add_argument("--rows-commit", help="where they were measured, if not at this commit")
    options = parser.parse_args()
    name = options.experiment.replace("-", "_") + ("_quick" if options.quick else "")
    name += "" if options.pairs is None else f"_{options.pairs}_pairs"
    name += "_controls" if options.controls else ""
    if options.controls and options.experiment != "rotated-mnist":
        parser.error("--controls is for rotated-mnist")
    folder = RESULTS / name
    jax.config.update("jax_enable_x64", options.experiment == "synthetic")
    from geojax.experiments import (
        CharactersPlan,
        RotatedMnistPlan,
        SyntheticPlan,
        run_characters,
        run_rotated_mnist,
        run_synthetic,
    )

    about = {"command": f"geojax reproduce {options.experiment}", **origin()}
    about["command"] += " --quick" if options.quick else ""
    about["command"] += "" if options.pairs is None else f" --pairs {options.pairs}"
    about["command"] += ", its controls alone" if options.controls else ""
    if options.rows_commit:
        about["rows_measured_at_commit"] = options.rows_commit
    quick = options.quick
    plan: Any
    run: Any
    if options.experiment == "synthetic":
        plan, run = SyntheticPlan.quick() if quick else SyntheticPlan.full(), run_synthetic
    elif options.experiment == "rotated-mnist":
        plan, run = RotatedMnistPlan.quick() if quick else RotatedMnistPlan(), run_rotated_mnist
    else:
        plan, run = CharactersPlan.quick() if quick else CharactersPlan(), run_characters
    plan = plan if options.pairs is None else plan.of_pairs(options.pairs)
    plan = plan.of_controls() if options.controls else plan
    run(plan, options.rows, about=about, measure=not options.so_far)
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(options.rows.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            shutil.copyfile(file, folder / file.name)


if __name__ == "__main__":
    main()
