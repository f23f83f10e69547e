"""Interpolation and extrapolation of points and images (see README.md in this folder)."""

from ._base import AbstractInterpolator as AbstractInterpolator
from ._base import InterpolatedPath as InterpolatedPath
from ._comparison import METHODS as METHODS
from ._comparison import Comparison as Comparison
from ._comparison import PathRecord as PathRecord
from ._comparison import compare as compare
from ._density_flow import DensityFlow as DensityFlow
from ._extrapolation import ScoreWalk as ScoreWalk
from ._extrapolation import TangentStep as TangentStep
from ._geodesic import ExtendedGeodesic as ExtendedGeodesic
from ._geodesic import GeodesicInterpolator as GeodesicInterpolator
from ._latents import compare_latents as compare_latents
from ._lerp import Lerp as Lerp
from ._nao import Nao as Nao
from ._nao import NormPriorMetric as NormPriorMetric
from ._nao import nao_centroid as nao_centroid
from ._noise_diffusion import NoiseDiffusion as NoiseDiffusion
from ._registry import ENDING_AT_B as ENDING_AT_B
from ._registry import EXTRAPOLATORS as EXTRAPOLATORS
from ._registry import INTERPOLATORS as INTERPOLATORS
from ._registry import NAMED_METRICS as NAMED_METRICS
from ._registry import MethodSettings as MethodSettings
from ._registry import interpolator as interpolator
from ._route import NoiseRoute as NoiseRoute
from ._routed import Routed as Routed
from ._slerp import Slerp as Slerp
