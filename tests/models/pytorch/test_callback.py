"""Modules that torch evaluates: values and derivatives are those of the converted module."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch")

import geojax  # noqa: E402
from geojax.models import from_torch, torch_callback  # noqa: E402

XS, TS = jnp.array([[0.1, -0.5, 1.0], [2.0, 0.3, -1.0]]), jnp.array([0.3, 0.5])
U = jnp.array([1.0, 2.0, -1.0])


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 3).double()

    def forward(self, x, t):
        return torch.tanh(self.layer(x)) * (t[:, None] if t.ndim else t)


class Branching(Net):
    """What cannot be exported."""

    def forward(self, x, t):
        return super().forward(x, t) if x.abs().sum() < 1e6 else x


def curvature(f, x):
    """The second derivative of one output along U."""

    def slope(x):
        return jax.jvp(lambda x: f(x, TS[0])[0], (x,), (U,))[1]

    return jax.jvp(slope, (x,), (U,))[1]


CALLS = {
    "value": lambda f: f(XS[0], TS[0]),
    "batch": lambda f: jax.jit(jax.vmap(f))(XS, TS),
    "batches of batches": lambda f: jax.vmap(jax.vmap(f, (0, None)), (None, 0))(XS, TS),
    "forward": lambda f: jax.jvp(f, (XS[0], TS[0]), (U, jnp.ones(()))),
    "reverse": lambda f: jax.vjp(f, XS[0], TS[0])[1](U),
    "forward Jacobians": lambda f: jax.jit(jax.vmap(jax.jacfwd(f)))(XS, TS),
    "reverse Jacobians": lambda f: jax.vmap(jax.jacrev(f, argnums=(0, 1)))(XS, TS),
    "linear": lambda f: jax.linearize(lambda x: f(x, TS[0]), XS[0])[1](U),
    "transposed": lambda f: jax.linear_transpose(jax.linearize(lambda x: f(x, TS[0]), XS[0])[1], U)(
        U
    ),
    "Hessian": lambda f: jax.hessian(lambda x: jnp.sum(f(x, TS[0]) ** 2))(XS[0]),
    "Hessian by reverse": lambda f: jax.jacrev(
        jax.jacrev(lambda x, t: jnp.sum(f(x, t) ** 2), argnums=(0, 1))
    )(XS[0], TS[0]),
    "third derivative": lambda f: jax.vmap(jax.grad(lambda x: curvature(f, x)))(XS),
    "transposed twice": lambda f: jax.jvp(jax.vjp(lambda x: f(x, TS[0]), XS[0])[1], (U,), (2 * U,)),
}


@pytest.mark.slow
@pytest.mark.parametrize("time", [torch.zeros(1), torch.tensor(0.0)], ids=["batched", "scalar"])
def test_values_and_derivatives_are_those_of_the_converted_module(time):
    examples = torch.zeros(1, 3).double(), time.double()
    converted = from_torch(Net(), *examples)
    called = torch_callback(Branching().eval(), *examples)
    for name, call in CALLS.items():
        for found, wanted in zip(
            jax.tree.leaves(call(called)), jax.tree.leaves(call(converted)), strict=True
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12, err_msg=name)


def test_a_batch_is_one_call_of_torch():
    sizes = []

    class Seen(Net):
        def forward(self, x, t):
            sizes.append(len(x))
            return super().forward(x, t)

    called = torch_callback(Seen().eval(), torch.zeros(1, 3).double(), torch.zeros(1).double())
    sizes.clear()
    jax.block_until_ready(jax.vmap(called)(XS, TS))
    assert sizes == [2]


def test_bfloat16_and_unused_inputs():
    class Half(torch.nn.Module):
        def forward(self, x, t):
            return 2 * x.detach() + x

    called = torch_callback(Half().eval(), torch.zeros(1, 3).bfloat16(), torch.zeros(1).bfloat16())
    value, rate = jax.jvp(lambda x: called(x, 0.5), (XS[0],), (U,))
    assert value.dtype == jnp.bfloat16
    np.testing.assert_allclose(value.astype(float), 3 * XS[0], rtol=0.01)
    np.testing.assert_allclose(rate.astype(float), U)
    assert jax.grad(lambda t: jnp.sum(called(XS[0], t).astype(float)))(0.5) == 0


def test_bad_input_is_refused():
    examples = torch.zeros(1, 3).double(), torch.zeros(1).double()
    with pytest.raises(ValueError, match=r"call module\.eval"):
        torch_callback(Net(), *examples)
    called = torch_callback(Net().eval(), *examples)
    with pytest.raises(ValueError, match="x has the shape"):
        called(jnp.ones(4), 0.3)

    class Two(torch.nn.Module):
        def forward(self, x, t):
            return x, t

    with pytest.raises(ValueError, match="returns 2 tensors"):
        torch_callback(Two().eval(), *examples)


@pytest.mark.slow
def test_a_geodesic_of_a_module_that_torch_evaluates():
    class Ring(torch.nn.Module):
        """The clean point of a ring of radius 1, as a network predicts it."""

        def forward(self, x, t):
            return x / x.norm(dim=1, keepdim=True) if x.isfinite().all() else x

    examples = torch.zeros(1, 2).double(), torch.zeros(1).double()
    ends = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    lengths = []
    for network in (
        torch_callback(Ring().eval(), *examples),
        lambda x, t, args: x / jnp.linalg.norm(x),
    ):
        score = geojax.DataPrediction(network, geojax.VE(0.1, 2.0)).at(0.1)
        found = geojax.geodesic(geojax.SteinScoreMetric(score, lam=10.0), *ends, num_segments=8)
        assert found.successful
        lengths.append(float(found.length))
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-9)
