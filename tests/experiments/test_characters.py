"""The experiment of turned characters: held-out angles, figures, and that it can be stopped."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from geojax.evaluation import gamma_rmse
from geojax.experiments import CharactersPlan, RowStore, run_characters
from geojax.experiments._characters import _Characters, characters_means
from geojax.experiments._characters_measures import _apart, _at, _evenly
from geojax.experiments._characters_plan import METHODS

TINY = CharactersPlan(
    components=(4,),
    shapings=("labels",),
    seeds=(0,),
    angles=40,
    frames=3,
    turns=(90, 180),
    num_pairs=2,
    methods=("LERP", "neighbour graph", "Stein", "again"),
    extrapolations=("straight line", "exponential map, Stein"),
    fits=("Euclidean",),
    num_fits=1,
    autoencoder_steps=25,
    denoiser_steps=25,
)


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def _a_method_from_its_own_geodesic(monkeypatch):
    monkeypatch.setitem(METHODS, "again", ("Stein", "Stein"))


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path):
    def stop(done, total):
        assert total == 15
        if done == 6:
            raise Stopped

    with pytest.raises(ValueError, match="no row of this plan is measured yet"):
        run_characters(TINY, tmp_path, measure=False)
    with pytest.raises(Stopped):
        run_characters(TINY, tmp_path, callback=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").glob("*.json")}
    assert len(kept) == 6
    means = run_characters(TINY, tmp_path, about={"command": "test"})
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    content = json.loads((tmp_path / "characters.json").read_text())
    assert content["about"] == {"command": "test"} and content["notes"] == []
    whole = {(row["kind"], row["method"]): row for row in means if row["turn"] is None}
    assert whole["path", "LERP"]["gain"] == 1 and whole["path", "LERP"]["score_evaluations"] == 0
    stein, both = whole["path", "Stein"], whole["path", "again"]
    assert both["score_evaluations"] > stein["score_evaluations"] > 0
    assert both["gamma_rmse"] == pytest.approx(stein["gamma_rmse"], rel=0.1)
    beyond = whole["beyond", "exponential map, Stein"]
    assert beyond["score_evaluations"] > stein["score_evaluations"]
    # A path through the training points: halfway between two of them at the most.
    graph, lerp = whole["path", "neighbour graph"], whole["path", "LERP"]
    assert graph["data_rmse"] < lerp["data_rmse"]
    assert 0 < whole["principal", "Euclidean"]["share"] <= 1
    assert whole["model", None]["contrast"] > 0
    page = (tmp_path / "characters.html").read_text()
    assert "RiemannEBM" in page and "neighbour graph" in page
    store, (model,) = RowStore(tmp_path / "rows"), TINY.models()
    row = next(row for row in TINY.rows(model) if row["method"] == "LERP")
    arrays = store.arrays(row)
    assert arrays["frames"].shape == arrays["truth"].shape == (3, 32, 32)


def test_angles_lie_halfway_between_those_of_training():
    for plan in (CharactersPlan(), CharactersPlan.quick(), TINY):
        plan.check()
        spacing = 360 / plan.angles
        for number in range(plan.num_pairs):
            glyph, angle = plan.pair(number)
            assert glyph in "5GFPJ72" and (glyph, angle) == plan.pair(number)
            turn = plan.turns[number % len(plan.turns)]
            shown = angle + np.linspace(0, turn, plan.frames)
            np.testing.assert_allclose(np.abs(shown / spacing % 1 - 0.5), 0, atol=1e-9)
    uneven = dataclasses.replace(TINY, frames=8)
    with pytest.raises(ValueError, match="8 frames of turns"):
        run_characters(uneven, "never")


def test_the_most_important_models_come_first():
    models = CharactersPlan().models()
    first = [(m["components"], m["shaping"], m["seed"]) for m in models[:4]]
    expected = [(8, "neighbours", 0), (8, "neighbours", 1), (8, "neighbours", 2), (8, "labels", 0)]
    assert first == expected and len(models) == 36
    plan = CharactersPlan()
    assert plan.config(models[6])["training"]["shaping"] == 0 and models[6]["shaping"] == "none"
    assert plan.config(models[0])["autoencoder"]["latent"] == 8
    with pytest.raises(ValueError, match="unknown method 'cube'"):
        run_characters(dataclasses.replace(TINY, methods=("cube",)), "never")


def test_means_are_over_pairs_and_then_over_seeds():
    """Three pairs of one seed count as much as one pair of another; gains are of the same pairs."""
    common = {"components": 8, "shaping": "none", "kind": "path", "turn": 60}
    errors = {("LERP", 0): (4.0, 6.0), ("LERP", 1): (9.0, 9.0, 12.0), ("Stein", 0): (1.0,)}
    errors["Stein", 1] = 2.0, 4.0, 3.0
    rows = [
        {**common, "method": method, "seed": seed, "pair": pair, "gamma_rmse": value}
        for (method, seed), values in errors.items()
        for pair, value in enumerate(values)
    ]
    lerp, stein = (row for row in characters_means(rows) if row["turn"] is None)
    assert (lerp["gamma_rmse"], lerp["gain"]) == (7.5, 1.0)
    assert (stein["gamma_rmse"], stein["gamma_rmse_se"]) == (2.0, 1.0)
    assert (stein["gain"], stein["seeds"]) == ((4 / 1 + 10 / 3) / 2, 2)


def test_paths_are_cut_evenly_and_compared_at_equal_times():
    corner = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    even = _evenly(corner, 4)
    np.testing.assert_allclose(even, [[0, 0], [1, 0], [2, 0], [3, 0], [3, 1]], atol=1e-12)
    np.testing.assert_allclose(_at(jnp.asarray(corner), 5)[1], [1.5, 0])
    assert _apart(jnp.asarray(corner), jnp.asarray(corner) + 1) == pytest.approx(2**0.5)
    assert float(gamma_rmse(even, corner)) == pytest.approx(0, abs=1e-9)


def test_the_rows_of_a_model_are_measured_by_one_process(tmp_path, monkeypatch):
    plan = dataclasses.replace(TINY, seeds=(0, 1, 2))
    monkeypatch.setattr("jax.process_count", lambda: 2)
    owned = []
    for index in range(2):
        monkeypatch.setattr("jax.process_index", lambda index=index: index)
        experiment = _Characters(plan, tmp_path)
        order = experiment._in_order(experiment.rows())
        assert sorted(map(json.dumps, order)) == sorted(
            json.dumps([row]) for row in experiment.rows()
        )
        owned.append({group[0]["seed"] for group in experiment.own})
        assert order[: len(experiment.own)] == experiment.own
    assert owned == [{0, 2}, {1}]
