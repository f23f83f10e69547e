"""The conditions every test and every docstring example runs under.

At the root rather than in `tests/`, because it has to come before the first import of geojax,
and `pytest geojax/scores` would not load `tests/conftest.py`.
"""

import doctest
import gc
import importlib.util
import inspect
import os
import sys
from pathlib import Path

import jax
import jaxtyping
import pytest

import tests.type_check  # noqa: F401  (the import hook looks it up by name)

os.environ["MPLBACKEND"] = "Agg"
jax.config.update("jax_enable_x64", True)
# Nearly all the time of the tests is compilation, of programs that run for milliseconds: they are
# kept for the next run, and shared by the workers and by the processes that tests start.
_CACHE = {
    "jax_compilation_cache_dir": str(Path(__file__).resolve().parent / ".jax_cache"),
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
for _name, _value in _CACHE.items():
    _value = type(_value)(os.environ.setdefault(_name.upper(), str(_value)))
    jax.config.update(_name, _value)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jaxtyping.install_import_hook("geojax", "tests.type_check.check")


# Without XLA's optimisations compilation takes a third of the time, by its older code generator a
# fifth of that, and in one piece less than in 32. The flag of the generator is for one version, as
# XLA ends a process that names a flag it does not know. All reach processes that tests start.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"
jax.config.update("jax_disable_most_optimizations", True)
_FLAGS = "--xla_cpu_parallel_codegen_split_count=1"
if jax.__version_info__[:2] == (0, 10):
    _FLAGS += " --xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS}".strip()


# JAX keeps what it has traced: millions of objects, over which Python's collector of the oldest
# generation would walk again and again, at seconds a time.
gc.set_threshold(10_000, 10, 1_000_000)


# Their examples need torch, which no extra but `torch` installs.
if importlib.util.find_spec("torch") is None:
    collect_ignore = [f"geojax/models/pytorch/{name}.py" for name in ("_network", "_callback")]


class NetworkBlocked(RuntimeError):
    """A test tried to reach another machine."""


_LOCAL_HOSTS = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}


def _block_network(event: str, args: tuple) -> None:
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        host = args[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in _LOCAL_HOSTS:
        raise NetworkBlocked(f"{event} to {host!r}: tests must not reach a network.")


sys.addaudithook(_block_network)


def _from_module(self, module, object):
    return _stdlib_from_module(self, module, inspect.unwrap(object))


# Without this doctest passes over every decorated function in silence: it asks in whose globals
# the function lives, and a run-time type check, `eqx.filter_jit` or `contextmanager` wraps it.
_stdlib_from_module = doctest.DocTestFinder._from_module  # pyright: ignore
doctest.DocTestFinder._from_module = _from_module  # pyright: ignore


# Parts of the names of tests.
_AS_USERS_COMPILE = ("test_readme", "getting_started", "30_geodesics")


@pytest.fixture(autouse=True)
def _optimised_where_users_are(request):
    """What users read first runs with XLA's optimisations; all else compiles three times faster."""
    optimised = any(name in request.node.nodeid for name in _AS_USERS_COMPILE)
    jax.config.update("jax_disable_most_optimizations", not optimised)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True)
def _own_empty_folder(tmp_path, monkeypatch):
    """Every test and every docstring example may write to the current folder."""
    monkeypatch.chdir(tmp_path)


# Docstring examples of more than a second, which cannot carry a mark themselves.
_COSTLY_EXAMPLES = """
curvature._dimension.intrinsic_dimension curvature._jacobi.exponential_derivative
curvature._jacobi.jacobi_field curvature._ladder.PoleLadder curvature._ricci.ricci_curvature
curvature._riemann.riemann_curvature curvature._transport.parallel_transport
curvature._volume.estimate_log_volume_element evaluation._curves.CurveTimesInterval
evaluation._curves.TwoMoons evaluation._images.ssim evaluation._inspect.inspect_score
evaluation._manifolds.EmbeddedSphere evaluation._morphing.morphing_figures
evaluation._motion.motion_share evaluation._surfaces.Torus geodesics._batch.geodesic_batch
geodesics._compiled.compile_geodesic geodesics._continuation.CoarseToFine
geodesics._continuation.LambdaContinuation geodesics._devices.device_mesh
geodesics._exponential.exponential_map geodesics._gauss_newton.GaussNewton
geodesics._geodesic.geodesic geodesics._georce.Georce geodesics._log.log_map
geodesics._neighbours.neighbour_path geodesics._newton.Newton geodesics._path_energy.PathEnergy
geodesics._robust.robust_geodesic geodesics._rules.LogDensityChord geodesics._rules.Quadrature
geodesics._shooting.Shooting geodesics._watched.watched_geodesic interpolation._comparison.compare
interpolation._density_flow.DensityFlow interpolation._extrapolation.ScoreWalk
interpolation._extrapolation.TangentStep interpolation._geodesic.GeodesicInterpolator
interpolation._interpolate.interpolate scores._pipeline.AbstractPipeline
interpolation._nao.Nao interpolation._nao.nao_centroid
interpolation._noise_diffusion.NoiseDiffusion interpolation._registry.interpolator
interpolation._slerp.Slerp interpolation._spacetime.SpacetimeGeodesic
interpolation._string_method.StringMethod
metrics._model_spaces.StereographicSphere models._image_unet.ImageUNet
models.diffusers._unet2d.UNet2D models.diffusers._vq.VQAutoencoder
models.latent._autoencoder.Autoencoder models.latent._model.LatentModel
models.stable_diffusion._unet.UNet models.stable_diffusion._vae.Autoencoder
plotting._curves.plot_curves plotting._inspection.inspection_figure
scores._averaged.probe_averaged scores._flow.counted_probability_flow
scores._flow.probability_flow scores._training.batch_loss scores._training.training_step
statistics._clustering.k_medoids statistics._frechet.frechet_mean
statistics._pairwise.pairwise_distances statistics._principal.principal_geodesics
statistics._regression.geodesic_regression
"""


_LONGEST = ("test_code_blocks.py", "test_notebooks.py", "test_readme.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks the costly examples as slow, before the tier is chosen; and the longest tests run
    first, so that no worker is idle while another one finishes them.
    """
    costly = {f"geojax.{name}" for name in _COSTLY_EXAMPLES.split()}
    for item in items:
        if item.name in costly:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.path.name not in _LONGEST)


_MAPPINGS = Path("/proc/self/maps")


@pytest.fixture(autouse=True)
def _few_programs():
    """Frees the compiled programs before they use up the memory mappings a process may have.

    Linux allows 65,530 by default; XLA needs a few for each program, and ends the process
    where it gets none.
    """
    yield
    if _MAPPINGS.exists() and len(_MAPPINGS.read_bytes().splitlines()) > 45_000:
        jax.clear_caches()
