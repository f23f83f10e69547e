"""Stable Diffusion 1.x and 2.x in Equinox (see README.md in this folder)."""

from ._clip import TextEncoder as TextEncoder
from ._model import StableDiffusion as StableDiffusion
from ._model import load as load
from ._sampling import Picture as Picture
from ._sampling import ddim_levels as ddim_levels
from ._sampling import text_to_image as text_to_image
from ._tokenizer import Tokenizer as Tokenizer
from ._unet import UNet as UNet
from ._vae import Autoencoder as Autoencoder
