"""The location of bundled weights: `models/` of the repository, `geojax/models/zoo/` of a wheel."""

from pathlib import Path


def bundled_folder() -> Path:
    """The folder of the bundled models, one sub-folder each, with `registry.toml`.

    An installed wheel has it inside the package. An editable install and the repository itself use
    the repository's `models/`. Raise a `FileNotFoundError` when neither exists.
    """
    here = Path(__file__).resolve().parent
    candidates = [here / "models" / "zoo", here.parent / "models"]
    for folder in candidates:
        if (folder / "registry.toml").is_file():
            return folder
    raise FileNotFoundError(
        f"no model zoo: registry.toml is in neither {candidates[0]} nor {candidates[1]}. "
        "Reinstall geojax."
    )
