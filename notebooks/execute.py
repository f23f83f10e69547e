"""Runs notebooks and keeps their outputs: `python notebooks/execute.py [NAME ...]`.

A NAME is how a notebook's file name begins, such as 30; without any, all are run. A notebook is
written only when every cell succeeded and none gave a warning. With `--links` nothing is run: the
links to Colab are written anew, after a change of `REPOSITORY`.
Needs `python -m pip install -e ".[notebooks]"`.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

from PIL import Image

from geojax._files import written_whole

REPOSITORY = "OWNER/geojax"  # on GitHub; all links to Colab are made of it
FOLDER = Path(__file__).resolve().parent
COLAB = re.compile(r"(colab\.research\.google\.com/github/)[^/]+/[^/]+(/blob/)")
# Run before the cells: pictures that are clear on a screen and small; without widgets tqdm warns.
_BEFORE = """
import warnings
import matplotlib

matplotlib.rcParams["figure.dpi"] = 72
warnings.filterwarnings("ignore", "IProgress not found")
"""


def digest(notebook: dict[str, Any]) -> str:
    """A fingerprint of the code cells, kept with the outputs: a changed cell has old outputs."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in code]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def linked(text: str) -> str:
    """The text with its links to Colab leading to `REPOSITORY`."""
    return COLAB.sub(rf"\g<1>{REPOSITORY}\g<2>", text)


def smaller(png: str) -> str:
    """A picture in base64 with a palette of 256 colours."""
    picture, file = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"), io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def joined(outputs: list[Any]) -> list[Any]:
    """The outputs with neighbouring pieces of one stream as one."""
    whole: list[Any] = []
    for output in outputs:
        if whole and "name" in output and output["name"] == whole[-1].get("name"):
            whole[-1]["text"] += output["text"]
        else:
            whole.append(output)
    return whole


def execute(path: Path) -> None:
    """Run a notebook, and write it with its outputs.

    **Raises:** `RuntimeError` where a cell printed a warning; what a cell raised.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    options = {"timeout": None, "record_timing": False, "kernel_name": "python3"}
    client = NotebookClient(notebook, resources={"metadata": {"path": str(FOLDER)}}, **options)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(_BEFORE))
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
    del notebook.cells[0]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        cell.execution_count = count
        cell.outputs = joined(cell.outputs)
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise RuntimeError(f"{path.name}, cell {count} wrote to stderr:\n{output.text}")
            if output.output_type == "execute_result":
                output.execution_count = count
            if "image/png" in (data := output.get("data", {})):
                data["image/png"] = smaller(data["image/png"])
                data.pop("text/plain", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "geojax": {"executed": digest(notebook)},
    }
    save(path, notebook)


def save(path: Path, notebook: dict[str, Any]) -> None:
    """Write a notebook as Jupyter does, whole or not at all."""
    for cell in notebook["cells"]:
        for holder in (cell, *cell.get("outputs", ())):
            for key in ("source", "text"):
                if isinstance(holder.get(key), str):
                    holder[key] = holder[key].splitlines(keepends=True)
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="how the file names begin; default: all")
    parser.add_argument("--links", action="store_true", help="only write the links to Colab")
    options = parser.parse_args()
    if options.links:
        for path in (*FOLDER.glob("*.ipynb"), FOLDER / "README.md"):
            text = path.read_text("utf-8")
            with written_whole(path) as temporary:
                temporary.write_text(linked(text), "utf-8")
        return
    os.environ["JAX_PLATFORMS"] = "cpu"
    known = sorted(FOLDER.glob("*.ipynb"))
    for name in options.names:
        if not any(path.name.startswith(name) for path in known):
            parser.error(f"no notebook's name begins with {name!r}.")
    for path in known:
        if not options.names or path.name.startswith(tuple(options.names)):
            print(path.name, flush=True)
            execute(path)


if __name__ == "__main__":
    main()
