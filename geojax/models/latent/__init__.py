"""Geodesics between your own images: reduce them, then learn the score of the latents.

An autoencoder maps images to a few numbers, principal components turn and scale them, and a small
denoiser learns their score. With few dimensions left, the metric charges every direction off the
data. A geodesic that starts from a straight line then turns a glyph where the line fades it
(README.md).
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
