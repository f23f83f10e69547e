"""The classifier: its files, and that the bundled weights are as accurate as their card says."""

import hashlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models import (
    DigitClassifier,
    available,
    describe,
    load_classifier,
    load_mnist,
    rotated_batch,
    save_classifier,
    zoo_folder,
)

from .networks import random_weights

TINY = {"widths": [4, 4], "num_features": 8}
FOLDER = zoo_folder() / "digit_classifier"


def test_there_and_back(tmp_path):
    classifier = random_weights(DigitClassifier, **TINY)
    save_classifier(tmp_path, classifier, {"network": TINY})
    again = load_classifier(tmp_path)
    x = jax.random.uniform(jax.random.key(0), (1, 28, 28))
    np.testing.assert_array_equal(again(x), classifier(x))
    assert again.features(x).shape == (8,)
    assert again(x).dtype == x.dtype
    (tmp_path / "config.json").write_text('{"network": {"depth": 3}}')
    with pytest.raises(ValueError, match="does not describe a DigitClassifier"):
        load_classifier(tmp_path)


def test_an_unknown_classifier():
    with pytest.raises(ValueError, match=r"unknown model 'rotated_mnist'. Known.* digit_class"):
        load_classifier("rotated_mnist")
    with pytest.raises(ValueError, match=r"kind must be one of .*, classifier, got 'gan'"):
        available("gan")


def test_the_card_is_of_the_bundled_weights():
    content = (FOLDER / "model.safetensors").read_bytes()
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert len(content) < 1e6
    assert hashlib.sha256(content).hexdigest()[:16] in card
    assert describe("digit_classifier")["shape"] == [1, 28, 28]
    upright, turned, _ = (float(p) for p in re.findall(r"\| (\d+\.\d+)% \|", card))
    assert upright >= 99
    assert turned >= 97


@pytest.mark.slow
def test_the_accuracy_of_the_bundled_weights(data_file):
    """Of the first thousand test digits, upright, and turned but for 6 and 9."""
    images, labels = load_mnist("test", data_dir=data_file("mnist").parent)
    images, labels = jnp.asarray(images[:1000]), labels[:1000]
    classifier = load_classifier()
    angles = jax.random.uniform(jax.random.key(0), (1000,), maxval=2 * jnp.pi)
    predict = jax.jit(
        lambda angles: jnp.argmax(jax.vmap(classifier)(rotated_batch(images, angles)), axis=1)
    )
    assert np.mean(np.asarray(predict(0 * angles)) == labels) >= 0.985
    turned = np.asarray(predict(angles)) == labels
    assert np.mean(turned[~np.isin(labels, (6, 9))]) >= 0.96
