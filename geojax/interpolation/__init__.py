"""Interpolation and extrapolation of points and images (see README.md in this folder)."""

from ._base import AbstractInterpolator as AbstractInterpolator
from ._comparison import METHODS as METHODS
from ._comparison import Comparison as Comparison
from ._comparison import PathRecord as PathRecord
from ._comparison import compare as compare
from ._geodesic import ExtendedGeodesic as ExtendedGeodesic
from ._geodesic import Geodesic as Geodesic
from ._lerp import Lerp as Lerp
from ._route import NoiseRoute as NoiseRoute
from ._slerp import Slerp as Slerp
