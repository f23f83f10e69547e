"""The commit that the figures of a card are of; scripts put this folder on the path of modules."""

import subprocess
from pathlib import Path


def commit() -> str:
    """The commit that is checked out, and whether the library differs from it."""

    def git(*arguments: str) -> str:
        run = ["git", "-C", str(Path(__file__).resolve().parent), *arguments]
        return subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = " with changes" if git("status", "--porcelain", "--", "../geojax") else ""
        return git("rev-parse", "--short", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return "none"
