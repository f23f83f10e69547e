"""LPIPS(alex) and LPIPS(squeeze) to published values, and the files: what is read and refused."""

import hashlib
import importlib.util
import io
import pickle
import sys
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from geojax.evaluation import LPIPS
from geojax.evaluation._squeezenet import CHANNELS
from geojax.evaluation._torch_file import read_tensors
from geojax.models import from_pixels, zoo_folder

BUNDLED = zoo_folder() / "lpips_alex"


@pytest.fixture
def squeeze(data_file):
    data_file("squeezenet1_1_torchvision_fp16/squeezenet1_1_torchvision_fp16.npz")
    return LPIPS.load("squeeze", data_file("lpips_lin/v0.1/squeeze.pth").parents[2])


def of_uniform_noise(lpips):
    """For `torch.manual_seed(123)` and two uniform batches, as torchmetrics has it."""
    bits = np.random.RandomState(123).randint(0, 2**32, size=600_000, dtype=np.uint32)
    uniform = (bits & 0xFFFFFF).astype(np.float32) * np.float32(2**-24)
    x, y = (2 * uniform - 1).reshape(2, 10, 3, 100, 100)
    values = jax.jit(jax.vmap(lpips))(x, y)
    assert values.dtype == jnp.float32
    return np.mean(values)


def of_the_authors_images(lpips, folder):
    reference, p0, p1 = (
        from_pixels(np.moveaxis(np.asarray(Image.open(folder / f"ex_{n}.png")), -1, 0))
        for n in ("ref", "p0", "p1")
    )
    np.testing.assert_allclose(lpips(p1, reference), lpips(reference, p1), rtol=1e-6)
    return lpips(reference, p0), lpips(reference, p1)


@pytest.mark.slow
def test_alex_has_the_published_values(data_file):
    """The authors' README has 0.722 and 0.138."""
    lpips = LPIPS.load()
    values = of_the_authors_images(lpips, data_file("lpips_lin/imgs"))
    np.testing.assert_allclose(values, (0.722, 0.138), atol=1e-3)


@pytest.mark.slow
def test_alex_of_uniform_noise():
    """0.1486 was measured with the weights in float32, by another program."""
    np.testing.assert_allclose(of_uniform_noise(LPIPS.load("alex")), 0.1486, atol=2e-4)


@pytest.mark.slow
def test_squeeze_has_the_published_value(squeeze):
    """torchmetrics documents 0.1008."""
    np.testing.assert_allclose(of_uniform_noise(squeeze), 0.1008, atol=5e-4)


@pytest.mark.slow
def test_squeeze_of_the_authors_images(squeeze, data_file):
    values = of_the_authors_images(squeeze, data_file("lpips_lin/imgs"))
    np.testing.assert_allclose(values, (0.7112, 0.1479), atol=5e-4)


def test_the_bundled_heads_are_the_authors(data_file):
    theirs = read_tensors(data_file("lpips_lin/v0.1/alex.pth"))
    for i, head in enumerate(LPIPS.load("alex").distance.heads):
        np.testing.assert_allclose(
            head, theirs[f"lin{i}.model.1.weight"].ravel(), rtol=1e-3, atol=1e-7
        )


def test_the_card_is_of_the_bundled_weights():
    sha = hashlib.sha256((BUNDLED / "model.safetensors").read_bytes()).hexdigest()
    assert sha[:16] in (BUNDLED / "README.md").read_text(encoding="utf-8")


def test_the_converter_reads_arrays_and_nothing_else(monkeypatch):
    spec = importlib.util.spec_from_file_location("convert", BUNDLED / "convert.py")
    convert = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convert)
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = pickle.dumps({"a": array}, protocol=3)
    content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    read = convert.ArrayUnpickler(io.BytesIO(content)).load()["a"].value
    np.testing.assert_array_equal(read, array)
    with pytest.raises(pickle.UnpicklingError, match=r"names os\.system, which is no array"):
        convert.ArrayUnpickler(io.BytesIO(b"cos\nsystem\n(S'ls'\ntR.")).load()


# A network of random weights, for all else ------------------------------------------------------


def random_files(folder):
    rng = np.random.default_rng(0)
    weights, c_in = {}, 3

    def conv(name, c_in, c_out, size):
        bound = (2 / (c_in * size * size)) ** 0.5
        values = bound * rng.standard_normal((c_out, c_in, size, size))
        weights[f"{name}.weight"] = values.astype(np.float32)
        weights[f"{name}.bias"] = 0.1 * rng.standard_normal(c_out).astype(np.float32)

    conv("features.0", 3, 64, 3)
    c_in = 64
    for n, narrow in ((3, 16), (4, 16), (6, 32), (7, 32), (9, 48), (10, 48), (11, 64), (12, 64)):
        c_out = 4 * narrow
        conv(f"features.{n}.squeeze", c_in, narrow, 1)
        conv(f"features.{n}.expand1x1", narrow, c_out, 1)
        conv(f"features.{n}.expand3x3", narrow, c_out, 3)
        c_in = 2 * c_out
    save_file(weights, folder / "squeezenet1_1.safetensors")
    heads = {
        f"lin{i}.model.1.weight": rng.random((1, c, 1, 1)).astype(np.float32)
        for i, c in enumerate(CHANNELS)
    }
    save_pth(folder / "squeeze.pth", heads)


def save_pth(path, arrays):
    """As torch writes it since 1.6, by hand."""
    program = bytearray(b"\x80\x02}(")
    with zipfile.ZipFile(path, "w") as archive:
        for key, (name, array) in enumerate(arrays.items()):
            archive.writestr(f"archive/data/{key}", array.tobytes())
            text = lambda s: b"X" + len(s).to_bytes(4, "little") + s.encode()  # noqa: E731
            number = lambda n: b"J" + n.to_bytes(4, "little")  # noqa: E731
            strides = [s // array.itemsize for s in array.strides]
            program += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(("
            program += text("storage") + b"ctorch\nFloatStorage\n" + text(str(key)) + text("cpu")
            program += number(array.size) + b"tQ" + number(0)
            program += b"(" + b"".join(map(number, array.shape)) + b"t"
            program += b"(" + b"".join(map(number, strides)) + b"t\x89NtR"
        archive.writestr("archive/data.pkl", bytes(program + b"u."))


@pytest.fixture
def random(tmp_path):
    random_files(tmp_path)
    return LPIPS.load("squeeze", tmp_path)


X, Y = jax.random.uniform(jax.random.key(0), (2, 3, 28, 28), minval=-1.0)


@pytest.mark.slow
def test_it_is_a_distance_to_be_differentiated(random):
    both = jax.jit(jax.value_and_grad(random))
    value, gradient = both(X, Y)
    none, flat = both(X, X)
    assert none == 0 < value
    assert value.dtype == X.dtype
    step = 1e-2 / np.linalg.norm(gradient)
    assert both(X - step * gradient, Y)[0] < value
    assert np.all(np.isfinite(flat))


def test_it_is_found_in_the_data_folder(random, tmp_path, monkeypatch):
    monkeypatch.setenv("GEOJAX_DATA_DIR", str(tmp_path))
    np.testing.assert_allclose(LPIPS.load("squeeze")(X, Y), random(X, Y))


def test_images_that_do_not_fit(random):
    with pytest.raises(ValueError, match=r"17 pixels a side for LPIPS\(squeeze\), got 28 x 8"):
        random(X[:, :, :8], Y[:, :, :8])
    with pytest.raises(ValueError, match=r"31 pixels a side for LPIPS\(alex\), got 28 x 28"):
        LPIPS.load()(X, Y)


def test_a_missing_file_is_named_with_its_source(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"squeezenet1_1-b8a52dc0.pth .*download.pytorch"):
        LPIPS.load("squeeze", tmp_path)
    random_files(tmp_path)
    (tmp_path / "squeeze.pth").unlink()
    with pytest.raises(FileNotFoundError, match=r"squeeze.pth \(its heads\).*PerceptualSimilarity"):
        LPIPS.load("squeeze", tmp_path)


def test_a_file_that_lacks_a_weight(tmp_path):
    random_files(tmp_path)
    save_pth(tmp_path / "squeeze.pth", {"lin0.model.1.weight": np.ones((1, 64, 1, 1), np.float32)})
    with pytest.raises(ValueError, match=r"lin1.model.1.weight must have 128 entries"):
        LPIPS.load("squeeze", tmp_path)


def test_bad_arguments(tmp_path):
    with pytest.raises(
        ValueError, match="network must be 'alex', 'squeeze' or 'vgg', got 'resnet'"
    ):
        LPIPS.load("resnet")
    with pytest.raises(ValueError, match="The weights of 'alex' are bundled"):
        LPIPS.load("alex", download=True)
    with pytest.raises(ValueError, match="download=True is for network='vgg'"):
        LPIPS.load("squeeze", download=True)


def test_vgg_without_lpips_j(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips_j.lpips", None)
    with pytest.raises(ImportError, match=r"geojax-diffusion\[evaluation\]"):
        LPIPS.load("vgg")


def test_a_file_that_would_run_something(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.")
    (tmp_path / "bad.pth").write_bytes(content.getvalue())
    with pytest.raises(ValueError, match="it would call 'os system'"):
        read_tensors(tmp_path / "bad.pth")


@pytest.mark.parametrize("content", [b"", b"no program", b"\x80\x02K\x05.", b"\x80\x02}"])
def test_a_file_that_is_none(tmp_path, content):
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(ValueError, match="is not a readable PyTorch file"):
        read_tensors(tmp_path / "bad.pth")


def test_transposed_tensors(tmp_path):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_pth(tmp_path / "t.pth", {"a": array})
    np.testing.assert_array_equal(read_tensors(tmp_path / "t.pth")["a"], array)
