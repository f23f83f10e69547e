"""Differentiable Riemannian geometry of diffusion models, in JAX.

The classes and functions of everyday use are here, in the order of the pipeline: scores, metrics,
geodesics, curvature, statistics, interpolation. Building blocks for extensions and lists by name
are in the subpackages. `geojax.models`, `geojax.evaluation` and `geojax.plotting` contain networks,
measures and figures.
"""

import importlib

from . import evaluation as evaluation
from . import models as models
from .curvature import AbstractTransport as AbstractTransport
from .curvature import DescentSolution as DescentSolution
from .curvature import DimensionEstimate as DimensionEstimate
from .curvature import JacobiField as JacobiField
from .curvature import PoleLadder as PoleLadder
from .curvature import TraceEstimate as TraceEstimate
from .curvature import TransportODE as TransportODE
from .curvature import TransportSolution as TransportSolution
from .curvature import estimate_log_volume_element as estimate_log_volume_element
from .curvature import exponential_derivative as exponential_derivative
from .curvature import intrinsic_dimension as intrinsic_dimension
from .curvature import jacobi_field as jacobi_field
from .curvature import log_volume_element as log_volume_element
from .curvature import parallel_transport as parallel_transport
from .curvature import ricci_curvature as ricci_curvature
from .curvature import riemann_curvature as riemann_curvature
from .curvature import riemannian_gradient_descent as riemannian_gradient_descent
from .curvature import scalar_curvature as scalar_curvature
from .curvature import sectional_curvature as sectional_curvature
from .curvature import trace_probes as trace_probes
from .curvature import volume_element as volume_element
from .geodesics import RESULTS as RESULTS
from .geodesics import AbstractIterativeSolver as AbstractIterativeSolver
from .geodesics import AbstractRule as AbstractRule
from .geodesics import AbstractSolver as AbstractSolver
from .geodesics import CoarseToFine as CoarseToFine
from .geodesics import CubicSpline as CubicSpline
from .geodesics import GaussNewton as GaussNewton
from .geodesics import GeodesicError as GeodesicError
from .geodesics import GeodesicSolution as GeodesicSolution
from .geodesics import Georce as Georce
from .geodesics import LambdaContinuation as LambdaContinuation
from .geodesics import LogDensityChord as LogDensityChord
from .geodesics import Midpoint as Midpoint
from .geodesics import Newton as Newton
from .geodesics import PathEnergy as PathEnergy
from .geodesics import Quadrature as Quadrature
from .geodesics import Shooting as Shooting
from .geodesics import SplineGauss as SplineGauss
from .geodesics import compile_geodesic as compile_geodesic
from .geodesics import device_mesh as device_mesh
from .geodesics import distance as distance
from .geodesics import exponential_map as exponential_map
from .geodesics import geodesic as geodesic
from .geodesics import geodesic_batch as geodesic_batch
from .geodesics import log_map as log_map
from .geodesics import neighbour_path as neighbour_path
from .geodesics import robust_geodesic as robust_geodesic
from .geodesics import watched_geodesic as watched_geodesic
from .interpolation import AbstractInterpolator as AbstractInterpolator
from .interpolation import Comparison as Comparison
from .interpolation import DensityFlow as DensityFlow
from .interpolation import ExtendedGeodesic as ExtendedGeodesic
from .interpolation import GeodesicInterpolator as GeodesicInterpolator
from .interpolation import ImagePath as ImagePath
from .interpolation import InterpolatedPath as InterpolatedPath
from .interpolation import Lerp as Lerp
from .interpolation import Nao as Nao
from .interpolation import NoiseDiffusion as NoiseDiffusion
from .interpolation import ScoreWalk as ScoreWalk
from .interpolation import Slerp as Slerp
from .interpolation import SpacetimeGeodesic as SpacetimeGeodesic
from .interpolation import SpacetimePath as SpacetimePath
from .interpolation import StringMethod as StringMethod
from .interpolation import TangentStep as TangentStep
from .interpolation import compare as compare
from .interpolation import interpolate as interpolate
from .interpolation import nao_centroid as nao_centroid
from .metrics import AbstractConformalMetric as AbstractConformalMetric
from .metrics import AbstractLowRankMetric as AbstractLowRankMetric
from .metrics import AbstractMetric as AbstractMetric
from .metrics import AbstractModelSpace as AbstractModelSpace
from .metrics import AbstractPullbackMetric as AbstractPullbackMetric
from .metrics import AbstractSumOfSquaresMetric as AbstractSumOfSquaresMetric
from .metrics import DenseMetric as DenseMetric
from .metrics import DensityMetric as DensityMetric
from .metrics import Euclidean as Euclidean
from .metrics import JacobianMetric as JacobianMetric
from .metrics import OperatorMetric as OperatorMetric
from .metrics import PoincareBall as PoincareBall
from .metrics import PullbackMetric as PullbackMetric
from .metrics import ScoreNormMetric as ScoreNormMetric
from .metrics import SmoothedSteinScoreMetric as SmoothedSteinScoreMetric
from .metrics import SteinScoreMetric as SteinScoreMetric
from .metrics import StereographicSphere as StereographicSphere
from .scores import EDM as EDM
from .scores import VE as VE
from .scores import AbstractDensity as AbstractDensity
from .scores import AbstractPipeline as AbstractPipeline
from .scores import AbstractSchedule as AbstractSchedule
from .scores import AbstractScore as AbstractScore
from .scores import ClassifierFreeGuidance as ClassifierFreeGuidance
from .scores import ConditionBetween as ConditionBetween
from .scores import DataPrediction as DataPrediction
from .scores import Empirical as Empirical
from .scores import FlowPrediction as FlowPrediction
from .scores import GaussianMixture as GaussianMixture
from .scores import Inversion as Inversion
from .scores import NoisedSphere as NoisedSphere
from .scores import NoisePrediction as NoisePrediction
from .scores import NoiseRoute as NoiseRoute
from .scores import RectifiedFlow as RectifiedFlow
from .scores import ScaledLinear as ScaledLinear
from .scores import ScoreContrast as ScoreContrast
from .scores import Shell as Shell
from .scores import VelocityPrediction as VelocityPrediction
from .scores import VPCosine as VPCosine
from .scores import VPLinear as VPLinear
from .scores import ddim as ddim
from .scores import ddim_inversion as ddim_inversion
from .scores import ddim_path as ddim_path
from .scores import denoising_score_matching_loss as denoising_score_matching_loss
from .scores import from_batched as from_batched
from .scores import from_log_density as from_log_density
from .scores import probability_flow as probability_flow
from .scores import probe_averaged as probe_averaged
from .scores import random_embedding as random_embedding
from .scores import sample as sample
from .scores import score_contrast as score_contrast
from .statistics import FIT_RESULTS as FIT_RESULTS
from .statistics import Clusters as Clusters
from .statistics import FrechetMean as FrechetMean
from .statistics import GeodesicRegression as GeodesicRegression
from .statistics import PairwiseDistances as PairwiseDistances
from .statistics import PrincipalGeodesics as PrincipalGeodesics
from .statistics import frechet_mean as frechet_mean
from .statistics import geodesic_regression as geodesic_regression
from .statistics import k_medoids as k_medoids
from .statistics import pairwise_distances as pairwise_distances
from .statistics import principal_geodesics as principal_geodesics


def __getattr__(name: str):
    # On first use, as matplotlib takes seconds to import.
    if name == "plotting":
        return importlib.import_module(".plotting", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
