"""Statistics of points in a metric (see README.md in this folder)."""

from ._clustering import Clusters as Clusters
from ._clustering import k_medoids as k_medoids
from ._frechet import FrechetMean as FrechetMean
from ._frechet import frechet_mean as frechet_mean
from ._pairwise import PairwiseDistances as PairwiseDistances
from ._pairwise import pairwise_distances as pairwise_distances
from ._principal import PrincipalGeodesics as PrincipalGeodesics
from ._principal import principal_geodesics as principal_geodesics
from ._regression import GeodesicRegression as GeodesicRegression
from ._regression import geodesic_regression as geodesic_regression
from ._results import FIT_RESULTS as FIT_RESULTS
