"""The zoo: names, folders, and the bundled weights themselves."""

import ast
import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models import (
    available,
    build_score,
    describe,
    load,
    load_mnist,
    rotated_batch,
    save_checkpoint,
    zoo_folder,
)
from geojax.models.latent import example_pictures
from geojax.scores import AbstractPipeline, AbstractScore
from tests.source import ROOT

from .networks import random_weights, tiny_config

BUNDLED = zoo_folder() / "rotated_mnist" / "model.safetensors"
needs_weights = pytest.mark.skipif(not BUNDLED.is_file(), reason=f"no weights at {BUNDLED} yet")


def test_available():
    assert list(available("score")) == ["rotated_mnist"]
    assert list(available("latent")) == ["characters", "cartoon_faces"]
    assert all(len(line) < 80 and "\n" not in line for line in available().values())


def test_a_checkpoint_folder(tmp_path):
    save_checkpoint(tmp_path, random_weights(build_score, tiny_config()), tiny_config())
    for folder in (tmp_path, str(tmp_path)):
        assert isinstance(load(folder), AbstractScore)
        assert describe(folder)["shape"] == [1, 16, 16]


@pytest.mark.parametrize("lookup", [load, describe])
def test_an_unknown_model(lookup, tmp_path):
    with pytest.raises(ValueError, match=r"unknown model 'mnist'. Known models: rotated_mnist"):
        lookup("mnist")
    with pytest.raises(FileNotFoundError, match="not a checkpoint folder"):
        lookup(tmp_path)


@pytest.mark.slow
@needs_weights
@pytest.mark.parametrize("name", available())
def test_every_bundled_model_is_small_and_loads(name):
    assert (zoo_folder() / name / "model.safetensors").stat().st_size <= 6e6
    score, config = load(name), describe(name)
    if isinstance(score, AbstractPipeline):
        image = jnp.zeros(config["shape"])
        point = score.to_level(image)
        assert score.to_image(point).shape == image.shape
        assert jnp.all(jnp.isfinite(score.score(point, score.t)))
        return
    x = jnp.zeros(config["shape"])
    for label in (None, config["network"]["num_classes"] - 1):
        s = score(x, 0.4, label)
        assert s.shape == x.shape
        assert s.dtype == x.dtype
        assert jnp.all(jnp.isfinite(s))


@needs_weights
@pytest.mark.parametrize("name", available())
def test_the_card_is_of_the_bundled_weights(name):
    """Its figures were measured on these weights: after training, run `make_card.py` again."""
    folder = zoo_folder() / name
    sha = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert sha[:16] in (folder / "README.md").read_text(encoding="utf-8")


@needs_weights
@pytest.mark.parametrize("name", available("latent"))
def test_a_latent_model_ships_with_two_pictures(name):
    """`geojax inspect` takes them where it is given none, from an installed wheel too."""
    folder = zoo_folder() / name
    pictures = example_pictures(folder, describe(name))
    assert np.ptp(pictures, axis=(1, 2, 3)).min() > 1 and not np.allclose(*pictures)
    tree = ast.parse((ROOT / "hatch_build.py").read_text(encoding="utf-8"))
    (shipped,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SHIPPED"
    )
    assert "*/examples.npz" in shipped


@pytest.mark.slow
@needs_weights
def test_the_bundled_model_predicts_the_noise_on_test_digits(data_file):
    """Its mean squared error at t = 0.4, where the best linear prediction has 0.031."""
    images, labels = load_mnist("test", data_dir=data_file("mnist").parent)
    score = load("rotated_mnist")
    keys = jax.random.split(jax.random.key(0))
    x0 = rotated_batch(jnp.asarray(images[:64]), jax.random.uniform(keys[0], (64,), maxval=6.28))
    eps = jax.random.normal(keys[1], x0.shape)

    def error(x0, eps, label):
        predicted = score.predicted_noise(score.schedule.add_noise(x0, eps, 0.4), 0.4, label)
        return jnp.mean((predicted - eps) ** 2)

    errors = jax.jit(jax.vmap(error))(x0, eps, jnp.asarray(labels[:64], jnp.int32))
    assert float(jnp.mean(errors)) < 0.025
    assert np.all(np.isfinite(errors))
