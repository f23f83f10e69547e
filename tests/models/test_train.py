"""Training: it learns, it resumes exactly where it stopped, and a failure keeps the last save."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.models import load_checkpoint, loss_history, train

from .networks import blobs, tiny_config

IMAGES, LABELS = blobs(40)
CONFIG = tiny_config()


class Stopped(Exception):
    """What interrupts a run."""


def stop_after(last):
    def callback(step, loss):
        if step == last:
            raise Stopped

    return callback


def same(a, b):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in leaves)


def test_an_interrupted_run_goes_on_as_if_nothing_had_been(tmp_path):
    options = {"num_steps": 6, "save_every": 2, "held_out": blobs(10)}
    whole = train(CONFIG, IMAGES, LABELS, tmp_path / "a", **options)
    with pytest.raises(Stopped):
        train(CONFIG, IMAGES, LABELS, tmp_path / "b", callback=stop_after(5), **options)
    assert [row[0] for row in loss_history(tmp_path / "b")] == [2, 4]
    seen = []
    resumed = train(
        CONFIG, IMAGES, LABELS, tmp_path / "b", callback=lambda k, _: seen.append(k), **options
    )
    assert seen == [5, 6]
    assert same(whole, resumed)
    assert loss_history(tmp_path / "a") == loss_history(tmp_path / "b")
    loaded, config = load_checkpoint(tmp_path / "b")
    assert same(loaded, resumed)
    assert config == CONFIG


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = train(CONFIG, IMAGES, LABELS, tmp_path, num_steps=2)
    assert same(first, train(CONFIG, IMAGES, LABELS, tmp_path, num_steps=2, callback=stop_after(1)))


def test_it_learns(tmp_path):
    losses = []
    settings = tiny_config(learning_rate=1e-2, batch_size=16)
    train(settings, IMAGES, LABELS, tmp_path, num_steps=60, callback=lambda _, x: losses.append(x))
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:3])


def test_another_config_is_refused(tmp_path):
    train(CONFIG, IMAGES, LABELS, tmp_path, num_steps=1)
    with pytest.raises(ValueError, match="holds a training run of another config"):
        train(tiny_config(seed=1), IMAGES, LABELS, tmp_path, num_steps=2)


def test_a_loss_that_is_not_finite_keeps_the_last_save(tmp_path):
    # The rate warms up from 0: the first step is harmless, later ones are not.
    settings = tiny_config(learning_rate=1e30)
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) at step"):
        train(settings, IMAGES, LABELS, tmp_path, num_steps=20, save_every=1)
    score, _ = load_checkpoint(tmp_path)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(score))
    assert np.all(np.isfinite([row[1] for row in loss_history(tmp_path)]))


def test_no_steps():
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        train(CONFIG, IMAGES, LABELS, "nowhere", num_steps=0)


def test_a_folder_without_a_history(tmp_path):
    assert loss_history(tmp_path) == []


def test_weights_stay_float32(tmp_path):
    score = train(CONFIG, IMAGES, LABELS, tmp_path, num_steps=1)
    assert {leaf.dtype for leaf in jax.tree.leaves(score)} == {jnp.dtype(jnp.float32)}
