"""`geojax models`: the models of the zoo."""

from rich.console import Console
from rich.table import Table


def models() -> None:
    """The models of the zoo: names for --model."""
    from ..models import available, describe

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "description", "shape", "classes"):
        table.add_column(heading)
    for name, description in available().items():
        try:
            config = describe(name)
        except FileNotFoundError:
            table.add_row(name, f"{description} (weights missing: reinstall)", "–", "–")
            continue
        shape = " x ".join(str(size) for size in config["shape"])
        classes = str(config.get("network", {}).get("num_classes", 0) or "–")
        table.add_row(name, description, shape, classes)
    Console().print(table)
