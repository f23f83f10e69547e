"""Is it any good, and where: measures of scores and paths (see README.md in this folder)."""

from ._advice import ASYMMETRIC as ASYMMETRIC
from ._advice import INDISTINGUISHABLE as INDISTINGUISHABLE
from ._advice import Recommendation as Recommendation
from ._advice import recommend as recommend
from ._distributions import KernelDistance as KernelDistance
from ._distributions import frechet_distance as frechet_distance
from ._distributions import gaussian_frechet_distance as gaussian_frechet_distance
from ._distributions import kernel_distance as kernel_distance
from ._images import psnr as psnr
from ._images import ssim as ssim
from ._inception import inception_features as inception_features
from ._inspect import DIRECTIONS as DIRECTIONS
from ._inspect import Inspection as Inspection
from ._inspect import inspect_score as inspect_score
from ._lpips import LPIPS as LPIPS
from ._paths import DistanceToSet as DistanceToSet
from ._paths import PathFigures as PathFigures
from ._paths import distance_to as distance_to
from ._paths import log_density_profile as log_density_profile
from ._paths import path_error as path_error
from ._paths import path_figures as path_figures
from ._perceptual import endpoint_error as endpoint_error
from ._perceptual import neighbour_distances as neighbour_distances
from ._perceptual import perceptual_deviation as perceptual_deviation
from ._perceptual import perceptual_path_length as perceptual_path_length
from ._perceptual import root_mean_square as root_mean_square
