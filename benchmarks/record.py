"""The origin of every result file: machine, versions, commit."""

import datetime
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

from geojax._files import written_whole
from geojax.cli._environment import machine, versions

ROOT = Path(__file__).resolve().parent.parent


def origin() -> dict[str, Any]:
    """Machine, versions, commit (and whether the sources differ from it), date."""
    return {
        "machine": {"processor": _processor(), **machine()},
        "versions": versions(),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "uncommitted_changes": bool(
            _git("status", "--porcelain", "--", "geojax", "models/*/*.*s*")
        ),
        "date": datetime.date.today().isoformat(),
    }


def save(path: Path, result: dict[str, Any]) -> None:
    """Write a result file, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n")


def with_row(
    rows: list[dict[str, Any]], row: dict[str, Any], same: tuple[str, ...]
) -> dict[str, Any]:
    """Origin and rows; `row` replaces the one that agrees with it in the keys `same`.

    Each row has its own commit, because rows can be of different runs. The origin is that of the
    last.
    """
    here = origin()
    kept = [old for old in rows if any(old[name] != row[name] for name in same)]
    return {"origin": here, "rows": [*kept, {**row, "commit": here["commit"]}]}


def add_row(path: Path, row: dict[str, Any], same: tuple[str, ...]) -> None:
    """Put a row into a result file, as `with_row`."""
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    save(path, with_row(rows, row, same))


def _git(*command: str) -> str:
    done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
