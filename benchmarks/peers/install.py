"""Set up the environments of the peers that `work_precision.py` compares with.

    python benchmarks/peers/install.py [--cache FOLDER]

Each peer gets its own virtual environment outside the repository (by default in the user's cache),
because their requirements exclude each other. A second call leaves complete ones as they are.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import pooch

# What to install, one call of pip after the other: torch alone first gives its build for CPUs.
PEERS = {
    "geomstats": [["geomstats==2.8.0", "autograd==1.9.1", "numpy<2.4"]],
    "stochman": [["torch==2.13.0"], ["stochman==0.3.0"]],
}
CACHE = Path(pooch.os_cache("geojax")) / "peers"


def python_of(peer: str, cache: Path = CACHE) -> Path:
    """The interpreter of a peer's environment, which may not exist yet."""
    return cache / peer / "bin" / "python"


def is_complete(peer: str, cache: Path = CACHE) -> bool:
    """Whether the environment is complete, with these requirements."""
    mark = cache / peer / "complete"
    return mark.is_file() and mark.read_text() == repr(PEERS[peer])


def install(peer: str, cache: Path = CACHE) -> None:
    """Make a peer's environment anew."""
    folder = cache / peer
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    for requirements in PEERS[peer]:
        command = [str(python_of(peer, cache)), "-m", "pip", "install", "--quiet", *requirements]
        subprocess.run(command, check=True)
    (folder / "complete").write_text(repr(PEERS[peer]))


def main() -> None:
    """Install every peer that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=CACHE)
    cache = parser.parse_args().cache
    for peer in PEERS:
        if not is_complete(peer, cache):
            print(f"installing {peer} into {cache / peer}", flush=True)
            install(peer, cache)


if __name__ == "__main__":
    main()
