"""The tables of an experiment with their origin: machine, versions, commit.

    python benchmarks/experiments.py rotated-mnist --quick --rows FOLDER

runs what `geojax reproduce rotated-mnist --quick` runs, keeps its rows in FOLDER (where it takes
them up again, those of the command too) and copies everything else to
results/rotated_mnist_quick/, where the README's table comes from.
"""

import argparse
import shutil
from pathlib import Path

import jax
from record import ROOT, origin

EXPERIMENTS = ("synthetic", "rotated-mnist")


def main() -> None:
    """Run the experiment and copy its tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=Path, required=True)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", options.experiment == "synthetic")
    from geojax.experiments import (
        RotatedMnistPlan,
        SyntheticPlan,
        run_rotated_mnist,
        run_synthetic,
    )

    about = {"command": f"geojax reproduce {options.experiment}", **origin()}
    about["command"] += " --quick" if options.quick else ""
    if options.experiment == "synthetic":
        plan = SyntheticPlan.quick() if options.quick else SyntheticPlan()
        run_synthetic(plan, options.rows, about=about)
    else:
        plan = RotatedMnistPlan.quick() if options.quick else RotatedMnistPlan()
        run_rotated_mnist(plan, options.rows, about=about)
    name = options.experiment.replace("-", "_") + ("_quick" if options.quick else "")
    folder = ROOT / "benchmarks" / "results" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(options.rows.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            shutil.copyfile(file, folder / file.name)


if __name__ == "__main__":
    main()
