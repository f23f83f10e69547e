"""Checkpoints: what is written is what is read, and what does not fit is named."""

import json

import jax
import numpy as np
import pytest

from geojax.models import build_score, load_checkpoint, save_checkpoint
from geojax.scores import SCHEDULES

from .networks import random_weights, tiny_config

X = jax.random.normal(jax.random.key(1), (1, 16, 16))
CONFIG = tiny_config()
SCORE = random_weights(build_score, CONFIG)


@pytest.fixture
def folder(tmp_path):
    save_checkpoint(tmp_path / "model", SCORE, CONFIG)
    return tmp_path / "model"


def test_round_trip(folder):
    score, config = load_checkpoint(folder)
    assert config == CONFIG
    assert type(score) is type(SCORE)
    assert jax.tree.structure(score) == jax.tree.structure(SCORE)
    np.testing.assert_array_equal(score(X, 0.4, 3), SCORE(X, 0.4, 3))
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("prediction", ["noise", "data", "velocity"])
@pytest.mark.parametrize("schedule", ["vp_cosine", "edm"])
def test_every_prediction_and_schedule_can_be_named(prediction, schedule):
    config = CONFIG | {"prediction": prediction, "schedule": {"name": schedule}}
    score = random_weights(build_score, config)
    assert type(score.schedule) is SCHEDULES[schedule]
    assert jax.eval_shape(score, X, 0.4, 3).shape == X.shape


def test_options_of_the_schedule():
    config = CONFIG | {"schedule": {"name": "vp_linear", "beta_end": 0.03}}
    assert random_weights(build_score, config).schedule.beta_end == 0.03


def rewrite(folder, change):
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_a_folder_without_a_checkpoint(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match=r"no config.json in .*: not a checkpoint folder"):
        load_checkpoint(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights at .*model.safetensors"):
        load_checkpoint(folder)


def test_a_config_that_is_no_json(folder):
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json is not valid JSON"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.pop("network"), "KeyError.'network'"),
        (lambda c: c["network"].update(name="mlp"), "unknown network 'mlp'. Known: image_unet"),
        (lambda c: c["schedule"].update(name="vp"), "unknown schedule 'vp'. Known: vp_linear"),
        (lambda c: c.update(prediction="eps"), "unknown prediction 'eps'. Known: noise"),
        (lambda c: c["network"].update(depth=3), "unexpected keyword argument 'depth'"),
    ],
)
def test_a_config_that_describes_no_score(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ValueError, match="does not describe a known score") as error:
        load_checkpoint(folder)
    assert error.match(message)


def test_weights_of_another_network(folder):
    rewrite(folder, lambda c: c["network"].update(num_middle=2))
    with pytest.raises(ValueError, match=r"does not fit its config: missing \['network.middle.1"):
        load_checkpoint(folder)
    rewrite(folder, lambda c: c["network"].update(num_middle=1, widths=[8]))
    with pytest.raises(ValueError, match=r"has shape \(.*\), config.json requires \("):
        load_checkpoint(folder)


def test_damaged_weights(folder):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="is not a readable safetensors file"):
        load_checkpoint(folder)
