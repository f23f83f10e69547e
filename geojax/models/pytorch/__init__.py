"""Networks of torch, converted or called (see README.md in this folder)."""

from ._callback import TorchCallback as TorchCallback
from ._callback import torch_callback as torch_callback
from ._network import TorchNetwork as TorchNetwork
from ._network import from_torch as from_torch
from ._saving import load_torch as load_torch
from ._saving import save_torch as save_torch
