"""Public functions take their arguments in one order, and the one call does what its parts do."""

import importlib
import inspect
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from tests.source import SUBPACKAGES

POINT_MASSES = geojax.GaussianMixture(jnp.array([[-1.0, 0.0], [1.0, 0.0]]), scales=0.5)
FLAT = geojax.NoisePrediction(lambda x, t, args: 0 * x, geojax.VPLinear())
A, B = jnp.array([-1.0, 0.2]), jnp.array([1.0, -0.1])
SMALL = {"frames": 3, "num_steps": 4, "num_segments": 4}


def signatures():
    """Of every public function, and of what calls a public class."""
    for folder in SUBPACKAGES:
        if folder == "cli":
            continue
        module = importlib.import_module(f"geojax.{folder}")
        for name, thing in vars(module).items():
            if name[0] == "_" or inspect.ismodule(thing) or not callable(thing):
                continue
            if typing.get_origin(thing) is not None:  # the choices of an option
                continue
            found = thing.__call__ if inspect.isclass(thing) else thing
            if inspect.isclass(thing) and not inspect.isfunction(found):
                continue
            yield f"geojax.{folder}.{name}", inspect.signature(inspect.unwrap(found))


def test_args_is_last_and_solver_a_keyword():
    seen, wrong = 0, []
    for name, signature in signatures():
        kinds = {p.name: p.kind for p in signature.parameters.values()}
        positional = [n for n, kind in kinds.items() if kind is kind.POSITIONAL_OR_KEYWORD]
        if "args" in positional:
            seen += 1
            wrong += [name] * (positional[-1] != "args")
        words = {"solver", "key", "throw", "progress_meter"} & set(positional)
        wrong += [(name, word) for word in words]
        wrong += [name for kind in kinds.values() if kind is kind.VAR_KEYWORD]
    assert seen > 30 and not wrong


@pytest.mark.slow
def test_interpolate_is_its_parts():
    found = geojax.interpolate(POINT_MASSES, A, B, t=0.3, lam=2.0, until=1.5, **SMALL)
    np.testing.assert_allclose(found.times, [0, 0.5, 1, 1.5])
    route = geojax.NoiseRoute(POINT_MASSES, t=0.3, num_steps=4)
    metric = geojax.SteinScoreMetric(POINT_MASSES.at(0.3), 2.0)
    path = geojax.GeodesicInterpolator(metric, num_segments=4)
    points = path(route.to_level(A), route.to_level(B), found.times)
    np.testing.assert_allclose(found.points, points, rtol=1e-9)
    np.testing.assert_allclose(found.images, jax.vmap(route.to_image)(points), rtol=1e-9)
    assert found.path.extension is not None and bool(found.successful)
    assert str(found).startswith("4 images along a geodesic with 4 segments")
    contrast = geojax.score_contrast(POINT_MASSES.at(0.3), points[:1], points[2:3])
    np.testing.assert_allclose(found.contrast.ratio, contrast.ratio, rtol=1e-6)
    assert str(found).endswith(str(found.contrast))
    # The same by the route itself, which is a pipeline; there the suited lambda is the default.
    options = {"frames": 3, "num_segments": 4, "until": 1.5}
    again = geojax.interpolate(route, A, B, lam=2.0, **options)
    np.testing.assert_allclose(again.images, found.images, rtol=1e-9)
    options["throw"] = False  # with four segments a steep metric is under-resolved
    own = geojax.interpolate(route, A, B, **options)
    given = geojax.interpolate(route, A, B, lam=float(contrast.lam), **options)
    np.testing.assert_allclose(own.points, given.points, rtol=1e-6)


@pytest.mark.slow
def test_interpolate_refuses_bad_input():
    image = jnp.zeros((1, 4, 4))
    pixels = np.full((1, 4, 4), 200, np.uint8)
    for arguments, options, text in (
        ((lambda x, args: -x, A, B), {}, "score must be a geojax score with noise levels"),
        ((POINT_MASSES, A, B), {"frames": 1}, "frames must be at least 2"),
        ((POINT_MASSES, A, B), {"lam": "large"}, "lam must be a number or 'auto', got 'large'"),
        ((FLAT, A, B), {}, "this score is zero there and at its ends: give lam as a number"),
        (
            (geojax.NoiseRoute(POINT_MASSES), A, B),
            {"t": 0.3},
            "t, num_steps cannot be given beside a NoiseRoute",
        ),
        ((POINT_MASSES, A, B), {"until": 0.5}, "until must be at least 1"),
        ((POINT_MASSES, A, B), {"noising": "shared"}, "pass key="),
        ((POINT_MASSES, image, pixels), {}, r"image_b / 127\.5 - 1"),
        ((POINT_MASSES, A, B[:1]), {}, "image_a and image_b must have one shape"),
    ):
        with pytest.raises(ValueError, match=text):
            geojax.interpolate(*arguments, **{**SMALL, **options})


@pytest.mark.slow
def test_traced_times_need_a_last_one():
    path = geojax.GeodesicInterpolator(geojax.Euclidean(), num_segments=2)
    ts = jnp.array([0.0, 0.5])
    with pytest.raises(ValueError, match=r"until=1\.0"):
        jax.jit(lambda ts: path(A, B, ts))(ts)
    path = geojax.GeodesicInterpolator(geojax.Euclidean(), num_segments=2, until=1.0)
    np.testing.assert_allclose(jax.jit(lambda ts: path(A, B, ts))(ts), [A, (A + B) / 2])
