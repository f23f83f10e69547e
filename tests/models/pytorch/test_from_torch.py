"""The border of converted torch modules: what is called, what is refused, what is saved."""

import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch, to convert")

import geojax  # noqa: E402
from geojax.models import from_torch, load, save_torch, torch_callback  # noqa: E402
from tests.models.pytorch.parity import in_jax  # noqa: E402

X, T = torch.linspace(-1, 1, 3)[None], torch.tensor([0.3])


class Net(torch.nn.Module):
    """(x, t) of batches; with dropout, a buffer and a cache that is no part of the function."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 3)
        self.dropout = torch.nn.Dropout(0.5)
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x, t):
        return torch.tanh(self.layer(self.dropout(x))) * self.scale * (1 + t[:, None])


class Conditioned(Net):
    def forward(self, x, t, first, second, *, third=None):
        y = super().forward(x, t) + first + 2 * second["value"]
        return y if third is None else y * third


@pytest.fixture(scope="module")
def net():
    return Net()


@pytest.fixture(scope="module")
def network(net):
    return from_torch(net, X, T)


def of_torch(module, *inputs):
    with torch.no_grad():
        return module.eval()(*inputs).numpy()


def test_a_point_is_called_with_or_without_its_batch_axis(net, network):
    expected = of_torch(net, X, T)
    x, t = in_jax(X), in_jax(T)
    assert network(x, t).shape == (1, 3)
    np.testing.assert_allclose(network(x, t), expected, rtol=1e-6)
    np.testing.assert_allclose(network(x[0], t[0]), expected[0], rtol=1e-6)
    # A point of float64 too: the module's dtype is its own, and a score casts back.
    score = geojax.NoisePrediction(network, geojax.VE(0.5, 2.0))
    assert score(x[0].astype(float), 0.3).dtype == jnp.float64


def test_a_batch_is_by_vmap(net, network):
    xs, ts = torch.randn(5, 3), torch.rand(5)
    found = jax.vmap(network)(in_jax(xs), in_jax(ts))
    np.testing.assert_allclose(found, of_torch(net, xs, ts), rtol=1e-5, atol=1e-6)


def test_gradients_by_the_weights_are_those_of_torch(net, network):
    loss = (net.eval()(X, T) ** 2).sum()
    parameters = dict(net.named_parameters())
    wanted = torch.autograd.grad(loss, parameters.values())
    found = eqx.filter_grad(lambda n: jnp.sum(n(in_jax(X), in_jax(T)) ** 2))(network)
    for name, gradient in zip(parameters, wanted, strict=True):
        np.testing.assert_allclose(found.weights[name], gradient, rtol=1e-5)


def test_further_inputs_are_args():
    module = Conditioned()
    first, second = torch.ones(1, 3), {"value": torch.full((1, 1), 0.5)}
    converted = from_torch(module, X, T, first, second)
    expected = of_torch(module, X, T, first, second)
    args = (jnp.ones(3), {"value": jnp.full((1, 1), 0.5)})
    np.testing.assert_allclose(converted(in_jax(X[0]), 0.3, args), expected[0], rtol=1e-6)
    with pytest.raises(ValueError, match="args must hold 2 inputs, got 1"):
        converted(in_jax(X[0]), 0.3, jnp.ones(3))


def test_keywords_are_a_dictionary_of_args():
    class Named(Net):
        def forward(self, x, t, *, label):
            return super().forward(x, t) * label[:, None]

    module, label = Named().eval(), torch.tensor([4.0])
    converted = from_torch(module, X, T, keywords={"label": label})
    with torch.no_grad():
        expected = module(X, T, label=label).numpy()
    found = converted(in_jax(X[0]), 0.3, {"label": 4.0})
    np.testing.assert_allclose(found, expected[0], rtol=1e-6)
    with pytest.raises(ValueError, match=r"args must be a dictionary with \['label'\]"):
        converted(in_jax(X[0]), 0.3)


def test_timesteps_are_those_of_the_module():
    class Stepped(torch.nn.Module):
        def forward(self, x, t):
            return x * 0 + t[:, None]

    whole = from_torch(Stepped(), X, torch.tensor([7]), timesteps=1000)
    x = in_jax(X[0])
    assert whole(x, 0.401)[0] == 400
    assert whole(x, 0.0)[0] == 0
    assert whole(x, 0.4014)[0] == 400  # whole steps, as the example is one
    parts = from_torch(Stepped(), X, torch.tensor([7.0]), timesteps=1000)
    np.testing.assert_allclose(parts(x, 0.4014)[0], 400.4, rtol=1e-6)


def test_modes_and_weights_of_the_module_are_unchanged(net):
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    converted = from_torch(net, X, T)
    assert net.training
    assert net.dropout.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    np.testing.assert_allclose(converted(in_jax(X), in_jax(T)), of_torch(net, X, T), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_in_it(dtype):
    module = Net().to(getattr(torch, dtype))
    x, t = X.to(getattr(torch, dtype)), T.to(getattr(torch, dtype))
    converted = from_torch(module, x, t)
    with torch.no_grad():
        expected = module.eval()(x, t).float().numpy()
    found = converted(in_jax(X[0]), 0.3)
    assert found.dtype == dtype
    np.testing.assert_allclose(found.astype(jnp.float32), expected[0], rtol=0.02)
    score = geojax.NoisePrediction(converted, geojax.VE(0.5, 2.0))
    assert score(in_jax(X[0]), 0.3).dtype == jnp.float32


class Nested(torch.nn.Module):
    """An operation that is not translated, one module down."""

    def __init__(self, function):
        super().__init__()
        self.inner = torch.nn.Sequential(Lambda(function))

    def forward(self, x, t):
        return self.inner(x)


class Lambda(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Counting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x, t):
        self.calls += 1
        return x * self.calls


REFUSED = {
    "an operation that is not translated": (
        Nested(torch.special.bessel_j0),
        NotImplementedError,
        r"special_bessel_j0.default \(in inner.0 \(Lambda\)\)",
    ),
    "control flow that depends on data": (
        Nested(lambda x: x if x.sum() > 0 else -x),
        ValueError,
        "depends on data",
    ),
    "a shape that depends on data": (Nested(lambda x: x[x > 0]), Exception, "torch_callback"),
    "a buffer that is written": (Counting(), ValueError, "writes to calls"),
    "random numbers": (Nested(lambda x: x + torch.randn(3)), NotImplementedError, "randn"),
    "complex numbers": (
        Nested(lambda x: torch.fft.fft(x).real),
        NotImplementedError,
        "complex64",
    ),
    "a function": (lambda x, t: x, ValueError, "must be a torch.nn.Module, got function"),
    "a distribution as output": (
        Nested(lambda x: torch.distributions.Normal(x, 1.0, validate_args=False)),
        ValueError,
        "returns a Normal",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_modules_that_cannot_be_converted_raise_errors(case):
    module, kind, message = REFUSED[case]
    with pytest.raises(kind, match=message):
        from_torch(module, X, T)


def test_errors_of_wrong_calls_name_the_expected_input(network):
    x, t = in_jax(X[0]), in_jax(T[0])
    with pytest.raises(ValueError, match=r"shape \(4,\), but the module was converted for"):
        network(jnp.ones(4), t)
    with pytest.raises(ValueError, match="Pass x first, then t"):
        network(t, x)
    with pytest.raises(ValueError, match="None is for a module of x and t alone"):
        network(x, t, jnp.ones(3))
    with pytest.raises(ValueError, match="timesteps must be a positive integer"):
        from_torch(Net(), X, T, timesteps=0)
    with pytest.raises(ValueError, match="example_inputs must be given"):
        from_torch(Net())
    with pytest.raises(ValueError, match="t must lie in"):
        geojax.NoisePrediction(network, geojax.VE(0.5, 2.0))(x, 400)


def test_several_outputs_are_for_apply():
    class Two(torch.nn.Module):
        def forward(self, x, t):
            return {"mean": x, "others": (x + t, None)}

    converted = from_torch(Two(), X, T)
    found = converted.apply(in_jax(X), in_jax(T))
    assert found["others"][1] is None
    np.testing.assert_allclose(found["others"][0], (X + T).numpy())
    with pytest.raises(ValueError, match="the module returns 2 tensors, but a prediction is one"):
        converted(in_jax(X), in_jax(T))


@pytest.mark.slow
def test_attention_layers_and_recurrent_ones_are_converted():
    class Attending(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
            self.encoder = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.recurrent = torch.nn.GRU(8, 8, batch_first=True)

        def forward(self, x, t):
            y = self.attention(x, x, x, need_weights=False)[0]
            return self.encoder(self.recurrent(x)[0] + y) * t[:, None, None]

    module, x = Attending().eval(), torch.randn(1, 5, 8)
    converted = from_torch(module, x, T)
    np.testing.assert_allclose(
        converted(in_jax(x), in_jax(T)), of_torch(module, x, T), rtol=1e-4, atol=1e-5
    )


def test_a_saved_score_is_the_same_without_torch(network, tmp_path):
    score = geojax.NoisePrediction(network, geojax.VPLinear(beta_end=0.03))
    save_torch(tmp_path / "model", score, {"data": "three numbers"})
    again = load(tmp_path / "model")
    assert isinstance(again, geojax.NoisePrediction)
    assert again.schedule == score.schedule
    assert again.network.graph == network.graph
    described = geojax.models.describe(tmp_path / "model")
    assert (described["shape"], described["data"]) == ([3], "three numbers")
    x = in_jax(X[0])
    np.testing.assert_array_equal(again(x, 0.3), score(x, 0.3))
    # The network alone too.
    save_torch(tmp_path / "network", network)
    np.testing.assert_array_equal(load(tmp_path / "network")(x, 0.3), network(x, 0.3))
    with pytest.raises(ValueError, match="must be the result of from_torch"):
        save_torch(tmp_path / "other", geojax.NoisePrediction(lambda x, t, args: x, geojax.VE()))


@pytest.mark.slow
def test_torch_is_not_needed_to_load_and_call(network, tmp_path):
    save_torch(tmp_path / "model", geojax.NoisePrediction(network, geojax.VPLinear()))
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'diffusers'): raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import geojax, jax.numpy as jnp\n"
        "print(geojax.models.load('model')(jnp.ones(3), 0.3).shape)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.strip() == "(3,)", run.stderr


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"format": 2}, "a graph of format 2"),
        ({"nodes": [["a", "no.such", [], {}, [], "m"]]}, "no.such"),
        ({"nodes": [1]}, "damaged|not the graph"),
    ],
)
def test_a_damaged_folder_raises_an_error(part, message, network, tmp_path):
    save_torch(tmp_path, network)
    content = json.loads((tmp_path / "graph.json").read_text())
    content["graph"] |= part
    (tmp_path / "graph.json").write_text(json.dumps(content))
    with pytest.raises((ValueError, NotImplementedError), match=message):
        load(tmp_path)
    (tmp_path / "graph.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"graph\.json"):
        load(tmp_path)


def test_the_remedy_without_torch(monkeypatch, net):
    monkeypatch.setitem(sys.modules, "torch", None)
    for convert in (from_torch, torch_callback):
        with pytest.raises(ImportError, match=r"geojax-diffusion\[torch\]"):
            convert(net, X, T)
