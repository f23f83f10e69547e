"""Training: it learns, it resumes exactly where it stopped, and a failure keeps the last save."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from geojax.models import load_checkpoint, loss_history, train

from .networks import blobs, tiny_config

IMAGES, LABELS = blobs(40)
CONFIG = tiny_config(learning_rate=1e-2)
OPTIONS = {"num_steps": 50, "save_every": 20, "held_out": blobs(10)}


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its folder, its result and its losses step by step."""
    folder, losses = tmp_path_factory.mktemp("whole"), []
    score = train(
        CONFIG, IMAGES, LABELS, folder, callback=lambda _, loss: losses.append(loss), **OPTIONS
    )
    return folder, score, losses


@pytest.mark.slow
def test_it_learns(whole):
    _, _, losses = whole
    assert len(losses) == 50
    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[:3])


@pytest.mark.slow
def test_the_files_of_a_training(whole):
    folder, score, losses = whole
    loaded, config = load_checkpoint(folder)
    assert same(loaded, score)
    assert config == CONFIG
    history = loss_history(folder)
    assert [row[0] for row in history] == [20, 40, 50]
    np.testing.assert_allclose(history[0][1], np.mean(losses[:20]), rtol=1e-5)
    assert history[-1][2] < history[0][2]
    assert {leaf.dtype for leaf in jax.tree.leaves(score)} == {jnp.dtype(jnp.float32)}


@pytest.mark.slow
def test_a_resumed_run_gives_the_result_of_an_uninterrupted_one(whole, tmp_path):
    folder, score, losses = whole
    with pytest.raises(Stopped):
        train(CONFIG, IMAGES, LABELS, tmp_path, callback=stop_after(35), **OPTIONS)
    assert [row[0] for row in loss_history(tmp_path)] == [20]
    seen = []
    resumed = train(
        CONFIG, IMAGES, LABELS, tmp_path, callback=lambda *row: seen.append(row), **OPTIONS
    )
    assert seen == [(k + 1, losses[k]) for k in range(20, 50)]
    assert same(score, resumed)
    assert loss_history(tmp_path) == loss_history(folder)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_many_steps_in_a_call(whole, tmp_path, monkeypatch, dtype):
    """The same losses: to rounding where the network is in float32, nearly so in bfloat16."""
    _, _, losses = whole
    monkeypatch.setattr("geojax.models._steps._CPU", 15)
    config, found = tiny_config(learning_rate=1e-2, dtype=dtype), []
    score = train(
        config, IMAGES, LABELS, tmp_path, callback=lambda _, loss: found.append(loss), **OPTIONS
    )
    rtol = 1e-4 if dtype == "float32" else 3e-2
    np.testing.assert_allclose(found, losses, rtol=rtol)
    assert dtype == "float32" or found != losses
    assert [row[0] for row in loss_history(tmp_path)] == [20, 40, 50]
    assert {leaf.dtype for leaf in jax.tree.leaves(score)} == {jnp.dtype(jnp.float32)}


def test_an_unknown_dtype_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"training\.dtype must be .*, got 'float8'"):
        train(tiny_config(dtype="float8"), IMAGES, LABELS, tmp_path, num_steps=1)


def test_a_finished_run_is_not_trained_again(whole):
    folder, score, _ = whole
    again = train(CONFIG, IMAGES, LABELS, folder, callback=stop_after(1), **OPTIONS)
    assert same(score, again)


def test_another_config_is_refused(whole):
    folder, _, _ = whole
    with pytest.raises(ValueError, match="holds a training run of another config"):
        train(tiny_config(seed=1), IMAGES, LABELS, folder, num_steps=60)


def test_a_loss_that_is_not_finite_keeps_the_last_save(tmp_path):
    with pytest.raises(Stopped):
        train(CONFIG, IMAGES, LABELS, tmp_path, callback=stop_after(25), **OPTIONS)
    saved = tmp_path / "training.safetensors"
    state = load_file(saved)
    save_file(state | {"score.network.head.bias": np.full((16,), np.nan, np.float32)}, saved)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step 21.* is intact"):
        train(CONFIG, IMAGES, LABELS, tmp_path, **OPTIONS)
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


def test_no_steps():
    with pytest.raises(ValueError, match="num_steps must be at least 1, got 0"):
        train(CONFIG, IMAGES, LABELS, "nowhere", num_steps=0)


def test_a_folder_without_a_history(tmp_path):
    assert loss_history(tmp_path) == []
