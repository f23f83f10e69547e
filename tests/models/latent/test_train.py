"""Training a latent model: it learns, goes on where it was killed, refuses what does not fit."""

import copy
import functools
import json

import jax
import numpy as np
import pytest

from geojax.models.latent import (
    LATENT_CONFIG,
    build_latent_model,
    load_latent_model,
    train_latent_model,
)


def tiny(steps: int = 50):
    config = copy.deepcopy(LATENT_CONFIG)
    config["autoencoder"] |= {"side": 8, "widths": [4], "hidden": 8, "latent": 4}
    config["components"], config["denoiser"] = 2, {"width": 8, "depth": 1}
    config["training"] |= {"autoencoder_steps": steps, "denoiser_steps": steps}
    config["training"] |= {"autoencoder_batch": 32, "denoiser_batch": 64, "neighbours": 2}
    config["training"]["learning_rate"] = 1e-2
    return config


def moving_dots():
    """A blot on a circle of 8 x 8 pixels."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    y, x = np.mgrid[:8, :8]
    centres = 3.5 + 2.2 * np.stack([np.cos(angles), np.sin(angles)])
    squares = (x - centres[0, :, None, None]) ** 2 + (y - centres[1, :, None, None]) ** 2
    return np.uint8(255 * np.exp(-squares / 3))


def same(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_model(tmp_path, monkeypatch):
    images, seen = moving_dots(), []
    monkeypatch.setattr("geojax.models.latent._train._ROW", 25)  # finer than saves
    whole = train_latent_model(
        tiny(), images, tmp_path / "whole", save_every=50, callback=lambda *row: seen.append(row)
    )
    assert [row[:2] for row in seen] == [
        (phase, step) for phase in ("autoencoder", "denoiser") for step in (25, 50)
    ]
    rows = [row.split(",") for row in (tmp_path / "whole" / "loss.csv").read_text().split()[1:]]
    assert [row[:2] for row in rows] == [[phase, str(step)] for phase, step, _ in seen]
    means = [float(row[2]) for row in rows]
    assert means[1] < means[0] and means[3] < means[2]
    assert same(load_latent_model(tmp_path / "whole"), whole)
    figures = json.loads((tmp_path / "whole" / "config.json").read_text())["figures"]
    assert set(figures) == {"t", "sigma", "contrast", "lam", "detour", "psnr"}
    assert float(whole.t) == pytest.approx(figures["t"])

    class Killed(Exception):
        pass

    def killed_at(*place):
        def kill(phase, step, loss):
            if (phase, step) == place:
                raise Killed

        return kill

    for phase in ("autoencoder", "denoiser"):
        with pytest.raises(Killed):
            options = {"save_every": 25, "callback": killed_at(phase, 50)}
            train_latent_model(tiny(), images, tmp_path / "killed", **options)
    assert same(train_latent_model(tiny(), images, tmp_path / "killed"), whole)
    again = train_latent_model(tiny(), images, tmp_path / "whole")  # nothing is left to do
    assert same(again, whole)
    with pytest.raises(ValueError, match="holds a training run of another config"):
        train_latent_model(tiny(75), images, tmp_path / "whole")


@pytest.mark.slow
def test_convolutions_in_sixteen_bits(tmp_path):
    config, losses = tiny(), {"float32": [], "bfloat16": []}
    for dtype, rows in losses.items():
        config["training"]["dtype"] = dtype
        seen = functools.partial(lambda rows, *row: rows.append(row), rows)
        model = train_latent_model(config, moving_dots(), tmp_path / dtype, callback=seen)
        assert {leaf.dtype for leaf in jax.tree.leaves(model)} == {np.dtype(np.float32)}
    exact, rounded = (np.array([row[2] for row in rows]) for rows in losses.values())
    np.testing.assert_allclose(rounded, exact, rtol=5e-2)
    assert np.all(rounded[:2] != exact[:2])


def test_pictures_that_do_not_fit_are_refused(tmp_path):
    images = moving_dots()
    for wrong, message in (
        (images / 255.0, r"images must be pixels in 0 \.\.\. 255 \(uint8\), got float64"),
        (images[:, :7], r"pictures of shape \(8, 8, 1\), got shape \(40, 7, 8, 1\)"),
        (np.repeat(images[..., None], 3, -1), r"pictures of shape \(8, 8, 1\), got"),
        (images[:5], r"at least 8 pictures"),
    ):
        with pytest.raises(ValueError, match=message):
            train_latent_model(tiny(), wrong, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(ValueError, match=r"components must be in 1 \.\.\. 4, got 9"):
        build_latent_model(tiny() | {"components": 9})
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="does not describe a latent model"):
        load_latent_model(tmp_path)
