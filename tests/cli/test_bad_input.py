"""Bad input ends with one clear line on stderr, exit code 2, and nothing written."""

import importlib
import json

import jax
import pooch
import pytest
from jax.experimental.compilation_cache import compilation_cache

from geojax.cli import _defaults
from geojax.cli._environment import configure_jax
from geojax.cli._settings import Settings

from .conftest import QUICK, tiny_config


def assert_refused(result, text):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    assert text in lines[0]


@pytest.mark.parametrize(
    "options, text",
    [
        (["--t", "1.5"], "--t must be in (0, 1]; step k of T is t = k / T, got 1.5."),
        (["--t", "0"], "--t must be in (0, 1]"),
        (["--t", "nan"], "--t must be in (0, 1]"),
        (["--lam", "-1"], "--lam must be a finite number >= 0, or auto, got -1."),
        (["--segments", "1"], "--segments must be at least 2, got 1."),
        (["--max-steps", "0"], "--max-steps must be at least 1, got 0."),
        (["--guidance", "nan"], "--guidance must be a finite number, got nan."),
        (["--rtol", "0"], "--rtol must be between 0 and 1, got 0.0."),
        (["--denoise-steps", "0"], "--denoise-steps must be at least 1"),
        (["--frames", "1"], "--frames must be at least 2"),
        (["--seed", "-3"], "--seed must be in"),
        (["--label-a", "10"], "--label-a must be 0 ... 9, got 10."),
        (["--label-b", "-1"], "--label-b must be 0 ... 9, got -1."),
        (["--extent", "-1"], "--extent must be in [0, 10], got -1.0."),
        (["--rule", "log-density-chord"], "needs a model whose log-density is known"),
    ],
)
def test_numbers_out_of_range(geojax_command, checkpoint, tmp_path, options, text):
    result = geojax_command("demo", "--model", checkpoint, "--out", tmp_path / "out", *options)
    assert_refused(result, text)
    assert not list(tmp_path.glob("out/*"))


def test_unknown_and_damaged_models(geojax_command, tmp_path):
    assert_refused(geojax_command("demo", "--model", "nonesuch"), "unknown model 'nonesuch'")
    assert_refused(geojax_command("demo", "--model", tmp_path), "not a checkpoint folder")
    (tmp_path / "config.json").write_text(json.dumps(tiny_config()))
    assert_refused(geojax_command("demo", "--model", tmp_path), "no weights at")


def test_image_files(geojax_command, checkpoint, pictures, tmp_path):
    def run(a, b, *options):
        command = ["interpolate", a, b, "--model", checkpoint, "--out", tmp_path / "out"]
        return geojax_command(*command, *options)

    assert_refused(run(pictures[0], tmp_path / "c.png"), f"no image file {tmp_path / 'c.png'}.")
    assert_refused(run(tmp_path, pictures[1]), "is a folder, not an image file.")
    (tmp_path / "text.png").write_text("no image")
    assert_refused(run(tmp_path / "text.png", pictures[1]), "is not a readable image file.")
    cut = tmp_path / "cut.png"
    cut.write_bytes(pictures[0].read_bytes()[:50])
    assert_refused(run(cut, pictures[1]), "is not a readable image file.")
    assert_refused(run(*pictures, "--label", "12"), "--label must be 0 ... 9, got 12.")
    assert_refused(run(pictures[0], pictures[0]), "are the same picture as the model sees them")
    assert_refused(run(*pictures, "--out", ""), "--out must be the name of a folder")
    assert_refused(run(*pictures, "--init", tmp_path / "none"), "there is no path.npz")
    assert not (tmp_path / "out").exists()


def test_folders_that_cannot_be_written(
    geojax_command, checkpoint, pictures, tmp_path, monkeypatch
):
    def run(out):
        return geojax_command("extrapolate", *pictures, "--model", checkpoint, "--out", out)

    assert_refused(run(pictures[0]), "is a file, not a folder.")
    assert_refused(run(pictures[0] / "sub"), "Not a directory")
    assert_refused(
        geojax_command("extrapolate", *pictures, "--model", checkpoint, "--extent", "0"),
        "--extent must be in (0, 10], got 0.0.",
    )

    def refused(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    assert_refused(run(tmp_path / "out"), f"error: {tmp_path / 'out'}: Permission denied.")


def test_unknown_options_and_commands_exit_with_2(geojax_command):
    for arguments in (["demo", "--solver", "magic"], ["interpolate", "a.png"], ["nonesuch"]):
        result = geojax_command(*arguments)
        assert result.exit_code == 2
        assert "Traceback" not in result.output


def test_every_solver_has_a_limit_and_the_defaults_are_in_range():
    from geojax.cli._settings import Solver

    assert set(_defaults.MAX_STEPS) == set(Solver)
    Settings().check()


def test_compiled_programs_are_kept_in_the_users_cache(monkeypatch):
    changed = {}
    monkeypatch.setattr(jax.config, "update", changed.__setitem__)
    configure_jax()
    assert not changed  # conftest.py has set JAX_COMPILATION_CACHE_DIR
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    configure_jax(x64=True)
    assert "geojax" in changed["jax_compilation_cache_dir"]
    assert changed["jax_persistent_cache_min_compile_time_secs"] == 0.5
    assert changed["jax_enable_x64"] is True


@pytest.mark.slow
def test_a_second_process_finds_the_programs_of_the_first(
    geojax_command, checkpoint, monkeypatch, tmp_path
):
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    found = []

    def listener(event, **_):
        found.append(event)

    jax.monitoring.register_event_listener(listener)
    command = ["demo", "--model", checkpoint, *QUICK, "--out", tmp_path / "out"]
    hits = []
    try:
        for _ in range(2):
            found.clear()
            compilation_cache.reset_cache()
            jax.clear_caches()  # what another process does not have
            assert geojax_command(*command).exit_code == 0
            hits.append(found.count("/jax/compilation_cache/cache_hits"))
    finally:
        jax.monitoring.unregister_event_listener(listener)
        for name, value in before.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
    assert list((tmp_path / "geojax" / "compiled").iterdir())
    # The first process may meet a program of its own twice.
    assert 10 * hits[0] < hits[1]


def test_the_version_and_the_models(geojax_command):
    result = geojax_command("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("geojax ")
    result = geojax_command("models")
    assert result.exit_code == 0
    assert "rotated_mnist" in result.stdout
    assert geojax_command("--help").exit_code == 0


def test_python_m_geojax():
    assert (
        importlib.import_module("geojax.__main__").main
        is importlib.import_module("geojax.cli").main
    )
