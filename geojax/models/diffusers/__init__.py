"""Models in the folder layout of diffusers, without torch (see README.md in this folder)."""

from ._folders import pipeline_class as pipeline_class
from ._load import describe as describe
from ._load import load as load
from ._unet2d import UNet2D as UNet2D
from ._vq import VQAutoencoder as VQAutoencoder
