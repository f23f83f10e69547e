"""How far a converted module and torch's own are apart: value, forward and reverse product."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from geojax.models import TorchNetwork
from geojax.models.pytorch._export import to_jax


def in_jax(value):
    """Tensors within tuples and dictionaries as arrays."""
    return jax.tree.map(
        lambda v: to_jax(v) if isinstance(v, torch.Tensor) else v,
        value,
        is_leaf=lambda v: v is None or isinstance(v, torch.Tensor),
    )


def first(output):
    """The first tensor of what a module returns."""
    if isinstance(output, dict):
        return next(iter(output.values()))
    return output[0] if isinstance(output, tuple) else output


def relative(a, b) -> float:
    """The distance of `a` from `b` over the norm of `b`."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def apart(network: TorchNetwork, module, inputs, keywords) -> dict[str, float]:
    """Relative differences by what is computed, by the first input."""
    x, *rest = in_jax(inputs)
    given = in_jax(keywords)

    def ours(x):
        return first(network.apply(x, *rest, **given))

    tensor = inputs[0].clone().requires_grad_()
    draw = np.random.default_rng(0)
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        output = first(module(tensor, *inputs[1:], **keywords))
        weights = draw.standard_normal(output.shape).astype(np.float32)
        direction = draw.standard_normal(tensor.shape).astype(np.float32)
        (reverse,) = torch.autograd.grad(
            output, tensor, torch.from_numpy(weights), retain_graph=True
        )
        # The reverse product is linear in its weights: its derivative by them is the forward one.
        free = torch.zeros_like(output, requires_grad=True)
        (product,) = torch.autograd.grad(output, tensor, free, create_graph=True)
        (forward,) = torch.autograd.grad(product, free, torch.from_numpy(direction))
    value, our_forward = jax.jvp(ours, (x,), (jnp.asarray(direction),))
    (our_reverse,) = jax.vjp(ours, x)[1](jnp.asarray(weights))
    return {
        "forward": relative(value, output.detach()),
        "JVP": relative(our_forward, forward),
        "VJP": relative(our_reverse, reverse),
    }
