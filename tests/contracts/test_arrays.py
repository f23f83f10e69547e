"""Every public function that takes arrays takes them by one rule (`geojax._arrays`).

A new public function or class is an entry in `array_cases`, or a name in `WITHOUT_ARRAYS`.
"""

import importlib

import equinox as eqx
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from geojax import evaluation, models
from tests.test_public_api import exported, is_documented

from .array_cases import CASES, Case
from .costly_array_cases import COSTLY
from .network_array_cases import NETWORKS

# These compile before they look at the array.
LATE = {"DigitClassifier", "ExtendedGeodesic", "ImageUNet"}
LATE |= {"GeodesicRegression", "PrincipalGeodesics"}

ROUNDED = 1e-3  # a result of float32
FLOATS = (np.float32, np.float16, ml_dtypes.bfloat16)
EVERY = CASES | COSTLY | NETWORKS
# One of each kind for the quick tier: a score, a metric, a curve, an interpolator, measures.
QUICK = {"Shell", "Euclidean", "CubicSpline", "Lerp", "psnr", "LPIPS", "frechet_distance", "rotate"}


def tiers(slow):
    """Every name, those in `slow` for the slow tier."""
    marks = {True: pytest.mark.slow, False: ()}
    names = [pytest.param(name, marks=marks[name in slow]) for name in EVERY]
    return pytest.mark.parametrize("name", names)


def called(given: Case, convert) -> list:
    arrays = {name: convert(array) for name, array in given.arrays.items()}
    return jax.tree.leaves(eqx.filter(given.call(**arrays), eqx.is_array))


def check(found: list, wanted: list, tolerance: float):
    assert len(found) == len(wanted) > 0
    for leaf, right in zip(found, wanted, strict=True):
        assert leaf.dtype.kind == right.dtype.kind
        assert leaf.dtype.kind != "f" or leaf.dtype.itemsize >= 4
        if leaf.dtype.kind != "f" and tolerance == ROUNDED:
            continue  # how many steps it took, which rounding decides
        np.testing.assert_allclose(leaf, right, rtol=tolerance, atol=tolerance)


@tiers(set(EVERY) - QUICK)
def test_the_same_numbers_give_the_same_result(name):
    """Whatever they come as: float64 is the reference."""
    for given in EVERY[name]:
        wanted = called(given, lambda array: jnp.asarray(array, jnp.float64))
        check(called(given, np.asarray), wanted, 0)
        if "init" not in given.arrays:  # of which a list is one of several paths
            check(called(given, np.ndarray.tolist), wanted, 0)
        for dtype in FLOATS:
            check(called(given, lambda array, d=dtype: jnp.asarray(array, d)), wanted, ROUNDED)
        if not given.images:
            smallest = min(float(np.min(array)) for array in given.arrays.values())
            for dtype in (np.int8 if smallest < 0 else np.uint8, np.int32):
                check(called(given, lambda array, d=dtype: jnp.asarray(array, d)), wanted, 1e-12)


@tiers(LATE)
def test_refusals_name_the_argument(name):
    for given in EVERY[name]:
        for argument, array in given.arrays.items():
            refused = [
                (array.astype(complex), rf"{argument} must be real, got complex"),
                ("text", f"{argument} must be an array of numbers, got str"),
                (np.zeros((0, *array.shape[1:])), rf"\b{argument} must .*got.* \(0,"),
            ]
            if argument in given.images:
                pixels = np.abs(array).astype(np.uint8)
                refused.append((pixels, rf"{argument} must be .*uint8.*{argument} / 127.5 - 1"))
            for value, message in refused:
                with pytest.raises(ValueError, match=message):
                    given.call(**{**given.arrays, argument: value})


def test_integers_that_are_meant():
    """Pixels and tokens are integers, and nothing else."""
    digits, angles = np.full((2, 4, 4), 255, np.uint8), [0, 0]
    np.testing.assert_array_equal(models.rotated_batch(digits, angles), np.ones((2, 1, 4, 4)))
    np.testing.assert_array_equal(models.from_pixels([0, 255]), [-1.0, 1.0])
    encoder = models.stable_diffusion.TextEncoder(
        {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1}
    )
    for call, name in (
        (lambda x: models.rotated_batch(x, angles), "images"),
        (models.from_pixels, "pixels"),
        (encoder, "tokens"),
        (lambda x: evaluation.inception_features(x, "no.pth"), "images"),
    ):
        for wrong in (np.ones((2, 4, 4)), np.ones((2, 4, 4), complex)):
            with pytest.raises(ValueError, match=f"{name} must be"):
                call(wrong)


# Base classes, settings, results, and functions of names, files, keys or what a solve has found.
_WITHOUT_ARRAYS = """
AbstractConformalMetric AbstractDensity AbstractInterpolator AbstractIterativeSolver
AbstractPipeline
AbstractLowRankMetric AbstractManifold AbstractModelSpace AbstractPullbackMetric AbstractRule
AbstractSolver AbstractSumOfSquaresMetric AbstractTransport Clusters CoarseToFine Comparison
DenseMetric DescentSolution DimensionEstimate DistanceToSet EDM FIT_RESULTS FrameFigures
FrechetMean GaussNewton GeodesicError GeodesicSolution Georce ImagePath Inspection
IntegratedCurve InterpolatedPath Inversion JacobiField KernelDistance LambdaContinuation
Linearisation LogDensityChord LowRankOperator LowRankTerms MethodSettings Midpoint
MorphingFigures MotionShare Newton ChordInspection PathEnds against_truth model_folder suited_level
PairwiseDistances PathEnergy PathFigures PathRecord Picture PoleLadder ProbeAveragedDensity
ProbeAveragedScore Quadrature RESULTS Recommendation RectifiedFlow SampledPath ScaledLinear Shooting
SolverOutput has_start_metric
ScoreContrast SpacetimePath
SolverProgress SplineGauss StableDiffusion TextEncoder Tokenizer TraceEstimate TransportODE
TransportSolution TwoPointProblem VE VPCosine VPLinear available build_score c_shape
check_inception ddim_levels describe device_mesh from_batched from_pixels inception_features
interpolator load load_checkpoint load_classifier load_mnist loss_history random_embedding recommend
rotated_batch sample sampled_path save_checkpoint save_classifier spiral swiss_roll text_to_image
trace_probes train training_step turned_characters zoo_folder
pipeline_class TorchCallback TorchNetwork from_torch save_torch torch_callback load_torch
"""
WITHOUT_ARRAYS = set(_WITHOUT_ARRAYS.split())


def test_every_public_name_is_in_a_list():
    folders = ("scores", "metrics", "geodesics", "curvature", "statistics", "interpolation")
    folders += (
        "evaluation",
        "models",
        "models/diffusers",
        "models/pytorch",
        "models/stable_diffusion",
    )
    public = set()
    for folder in folders:
        package = importlib.import_module(f"geojax.{folder.replace('/', '.')}")
        public |= {name for name in exported(folder) if is_documented(getattr(package, name))}
    assert public == EVERY.keys() | WITHOUT_ARRAYS
