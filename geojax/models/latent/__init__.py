"""Geodesics between your own pictures: reduce them, then learn the score of what is left.

An autoencoder maps pictures to a few numbers, principal components turn and scale them, and a small
denoiser learns their score. There few dimensions are left, every direction off the data is priced,
and a geodesic from a straight start turns a glyph where a straight line fades it (README.md).
"""

from ._autoencoder import Autoencoder as Autoencoder
from ._components import PrincipalComponents as PrincipalComponents
from ._components import principal_components as principal_components
from ._denoiser import Denoiser as Denoiser
from ._distances import label_distances as label_distances
from ._distances import picture_distances as picture_distances
from ._examples import example_pictures as example_pictures
from ._model import LatentModel as LatentModel
from ._model import build_latent_model as build_latent_model
from ._model import load_latent_model as load_latent_model
from ._train import LATENT_CONFIG as LATENT_CONFIG
from ._train import latent_losses as latent_losses
from ._train import train_latent_model as train_latent_model
