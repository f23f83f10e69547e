"""geojax: differentiable Riemannian geometry of diffusion models, in JAX.

The flat public API, in the order of the pipeline: scores, metrics, geodesics, curvature,
interpolation.
"""

from . import models as models
from .curvature import PoleLadder as PoleLadder
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
from .curvature import volume_element as volume_element
from .geodesics import RESULTS as RESULTS
from .geodesics import CoarseToFine as CoarseToFine
from .geodesics import GaussNewton as GaussNewton
from .geodesics import GeodesicSolution as GeodesicSolution
from .geodesics import Georce as Georce
from .geodesics import Graph as Graph
from .geodesics import LambdaContinuation as LambdaContinuation
from .geodesics import Midpoint as Midpoint
from .geodesics import PathEnergy as PathEnergy
from .geodesics import Quadrature as Quadrature
from .geodesics import Shooting as Shooting
from .geodesics import distance as distance
from .geodesics import exponential_map as exponential_map
from .geodesics import geodesic as geodesic
from .geodesics import geodesic_batch as geodesic_batch
from .geodesics import log_map as log_map
from .interpolation import Geodesic as Geodesic
from .interpolation import Lerp as Lerp
from .interpolation import NoiseRoute as NoiseRoute
from .interpolation import Slerp as Slerp
from .metrics import ConformalMetric as ConformalMetric
from .metrics import DenseMetric as DenseMetric
from .metrics import Euclidean as Euclidean
from .metrics import JacobianMetric as JacobianMetric
from .metrics import OperatorMetric as OperatorMetric
from .metrics import PullbackMetric as PullbackMetric
from .metrics import ScoreNormMetric as ScoreNormMetric
from .metrics import SmoothedSteinScoreMetric as SmoothedSteinScoreMetric
from .metrics import SteinScoreMetric as SteinScoreMetric
from .scores import EDM as EDM
from .scores import VE as VE
from .scores import AbstractScore as AbstractScore
from .scores import ClassifierFreeGuidance as ClassifierFreeGuidance
from .scores import DataPrediction as DataPrediction
from .scores import Empirical as Empirical
from .scores import GaussianMixture as GaussianMixture
from .scores import NoisedSphere as NoisedSphere
from .scores import NoisePrediction as NoisePrediction
from .scores import ScaledLinear as ScaledLinear
from .scores import Shell as Shell
from .scores import VelocityPrediction as VelocityPrediction
from .scores import VPCosine as VPCosine
from .scores import VPLinear as VPLinear
from .scores import from_log_density as from_log_density
from .scores import probe_averaged as probe_averaged
