"""Versions, the machine, and the cache of compiled programs."""

import os
import platform
from importlib import metadata
from typing import Any

PACKAGES = ("jax", "jaxlib", "equinox", "diffrax", "numpy")


def version() -> str:
    """The installed version of geojax, or "not installed" in a bare copy of the sources."""
    try:
        return metadata.version("geojax-diffusion")
    except metadata.PackageNotFoundError:
        return "not installed"


def versions() -> dict[str, str]:
    """The versions of Python, geojax and the packages that can change the figures."""
    return {
        "python": platform.python_version(),
        "geojax": version(),
        **{name: metadata.version(name) for name in PACKAGES},
    }


def machine() -> dict[str, Any]:
    """The properties of the machine that change times."""
    import jax

    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpu_count": os.cpu_count(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "processes": jax.process_count(),
    }


def compile_quickly() -> None:
    """Compile without most of XLA's optimisations, for programs that run for milliseconds.

    Between two images in a latent space nearly all the time is compilation. This halves it.
    """
    import jax

    jax.config.update("jax_disable_most_optimizations", True)


def configure_jax(*, x64: bool = False) -> None:
    """Set the cache folder of compiled programs, and float64 if wanted.

    The folder is the user's cache folder, or `JAX_COMPILATION_CACHE_DIR`.
    """
    import jax
    import pooch

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = pooch.os_cache("geojax") / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    if x64:
        jax.config.update("jax_enable_x64", True)
