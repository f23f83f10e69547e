"""Networks, their training and checkpoints, and the model zoo (see README.md in this folder)."""

from . import diffusers as diffusers
from . import latent as latent
from . import stable_diffusion as stable_diffusion
from ._characters import GLYPHS as GLYPHS
from ._characters import turned_characters as turned_characters
from ._checkpoint import NETWORKS as NETWORKS
from ._checkpoint import build_score as build_score
from ._checkpoint import load_checkpoint as load_checkpoint
from ._checkpoint import save_checkpoint as save_checkpoint
from ._digit_classifier import DigitClassifier as DigitClassifier
from ._digit_classifier import save_classifier as save_classifier
from ._image_unet import ImageUNet as ImageUNet
from ._registry import available as available
from ._registry import describe as describe
from ._registry import load as load
from ._registry import load_classifier as load_classifier
from ._registry import model_folder as model_folder
from ._registry import zoo_folder as zoo_folder
from ._rotated_mnist import from_pixels as from_pixels
from ._rotated_mnist import load_mnist as load_mnist
from ._rotated_mnist import rotate as rotate
from ._rotated_mnist import rotated_batch as rotated_batch
from ._rotated_mnist import to_pixels as to_pixels
from ._train import ROTATED_MNIST_CONFIG as ROTATED_MNIST_CONFIG
from ._train import loss_history as loss_history
from ._train import train as train
