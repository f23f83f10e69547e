"""Ships the model zoo: `models/` of the repository becomes `geojax/models/zoo/` in a wheel.

What ships is listed, so that training states and pictures stay behind. An editable install ships
nothing: there geojax reads the repository's own folder.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = (
    "registry.toml",
    "*/config.json",
    "*/model.safetensors",
    "*/demo.npz",
    "*/examples.npz",
    "*/README.md",
    "*/LICENSE",
)


class ModelZoo(BuildHookInterface):
    """Adds the zoo's files to a wheel, whichever of them exist."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        zoo = Path(self.root) / "models"
        for path in (path for pattern in SHIPPED for path in zoo.glob(pattern)):
            target = Path("geojax/models/zoo") / path.relative_to(zoo)
            build_data["force_include"][str(path)] = target.as_posix()
