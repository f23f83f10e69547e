"""Each translated operation against torch: value and reverse derivative, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch, to compare with")

from geojax.models import from_torch  # noqa: E402
from tests.models.pytorch import operations  # noqa: E402

KINDS = ("ELEMENTWISE", "SHAPES", "REDUCTIONS", "LAYERS")
# torch has no derivative of it.
NO_DERIVATIVE = {"floor_divide"}
# Its steps are rounded to half precision, by torch through single precision.
ROUNDED = {"bfloat16": 1e-2, "half": 1e-3}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_operations_are_those_of_torch(kind):
    functions = getattr(operations, kind)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=generator).requires_grad_()
    wanted = operations.All(functions)(x)
    network = from_torch(operations.All(functions), x.detach())
    point = jnp.asarray(x.detach().numpy())
    smooth = [n for n in functions if wanted[n].requires_grad and n not in NO_DERIVATIVE]

    def differentiable(x):
        found = network.apply(x)
        return [found[name] for name in smooth]

    found = network.apply(point)
    for name in functions:
        tolerance = ROUNDED.get(name, 1e-11)
        expected = wanted[name].detach().numpy()
        np.testing.assert_allclose(
            found[name], expected, rtol=tolerance, atol=tolerance, err_msg=name
        )
    values, reverse = jax.vjp(differentiable, point)
    reverse = jax.jit(reverse)
    draw = np.random.default_rng(0)
    for name in smooth:
        weights = draw.standard_normal(wanted[name].shape)
        given = [
            jnp.asarray(weights) if n == name else jnp.zeros(v.shape)
            for n, v in zip(smooth, values, strict=True)
        ]
        (expected,) = torch.autograd.grad(
            wanted[name], x, torch.from_numpy(weights), retain_graph=True
        )
        (product,) = reverse(given)
        # torch's hard sigmoid divides by 6 in single precision.
        np.testing.assert_allclose(product, expected.numpy(), rtol=1e-7, atol=1e-7, err_msg=name)


def test_no_operation_is_listed_twice_or_left_out():
    from geojax.models.pytorch import _elementwise, _graph, _layers, _reductions, _shapes

    tables = (
        _elementwise.ELEMENTWISE,
        _shapes.SHAPES,
        _reductions.REDUCTIONS,
        _layers.LAYERS,
    )
    assert sum(map(len, tables)) == len(_graph.OPERATIONS)
