"""`evaluate`: its figures against what the frames were made of, and what it refuses."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from geojax.evaluation import LPIPS, EfficientNetLite0, frechet_distance, root_mean_square
from geojax.models import load_classifier

from .test_bad_input import assert_refused

RNG = np.random.default_rng(0)


def write(folder, images, names=None):
    """Grey images of 0 ... 255 as PNG files."""
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        name = names[i] if names else f"frame_{i}.png"
        Image.fromarray(np.asarray(image, np.uint8)).save(folder / name)
    return folder


def fade(count, size=28):
    """From dark to bright in steps of ten, and the same brighter by 51, a fifth of the range."""
    levels = 10 * np.arange(count)[:, None, None]
    return np.ones((count, size, size)) * levels


def content_of(folder):
    return json.loads((folder / "evaluate.json").read_text(), parse_constant=pytest.fail)


def square_at(left):
    image = np.zeros((28, 28))
    image[10:18, left : left + 8] = 200
    return image


def only(content):
    """What was measured of the one path that there is."""
    (path,) = content["paths"].values()
    return path


def write_path(folder, images, times):
    return write(folder, images, [f"frame_{time:.4f}.png" for time in times])


@pytest.fixture
def cheap_lpips(monkeypatch):
    """In the place of the networks, which their own tests run."""
    monkeypatch.setattr(LPIPS, "load", lambda *_: LPIPS(root_mean_square, "alex"))


@pytest.mark.slow
def test_frames_against_a_truth_and_a_set(geojax_command, tmp_path, monkeypatch):
    monkeypatch.setattr(LPIPS, "load", lambda *_: LPIPS(root_mean_square, "squeeze"))
    frames = write(tmp_path / "frames", fade(12))  # frame_10 comes after frame_9
    truth = write(tmp_path / "truth", fade(12) + 51)
    digits = RNG.integers(0, 256, (5, 28, 28))
    reference = write(tmp_path / "digits", digits)
    (frames / "notes.txt").write_text("no image")
    result = geojax_command(
        "evaluate", frames, "--truth", truth, "--reference", reference, "--out", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    content = content_of(tmp_path / "out")
    assert list(content["paths"]) == ["frames"]
    by_frame, figures = only(content)["by_frame"], only(content)["figures"]
    assert by_frame["files"][9:] == ["frame_9.png", "frame_10.png", "frame_11.png"]
    np.testing.assert_allclose(by_frame["times"], np.linspace(0, 1, 12))
    assert figures["frames"] == 12
    assert figures["psnr"] == pytest.approx(20 * np.log10(255 / 51))
    assert figures["psnr_worst"] == pytest.approx(figures["psnr"])
    assert 0 < figures["ssim"] < 1
    assert figures["lpips"] == pytest.approx(0.4)  # a fifth of the range of [-1, 1]
    assert figures["ppl"] == pytest.approx(11 * 20 / 255)
    assert figures["pdv"] == pytest.approx(0, abs=1e-12)
    assert figures["length"] == pytest.approx(28 * 220 / 255)
    assert figures["deviation"] == pytest.approx(0, abs=1e-12)
    assert figures["motion_share"] == pytest.approx(0, abs=1e-6)
    # At every arc length the truth is brighter by 51.
    assert figures["gamma_rmse"] == pytest.approx(28 * 0.4)
    nearest = np.min(np.abs(10 * np.arange(12)[:, None] - 51 - 10 * np.arange(12)[None]), axis=1)
    assert figures["data_rmse"] == pytest.approx(28 * np.mean(nearest**2) ** 0.5 / 127.5)
    assert "end_error" not in figures and figures["reference"] == 5
    features = jax.vmap(load_classifier().features)
    a, b = (features(jnp.asarray(x, float)[:, None] / 127.5 - 1) for x in (fade(12), digits))
    assert figures["frechet_classifier"] == pytest.approx(float(frechet_distance(a, b)), rel=1e-4)
    assert figures["kernel_classifier_se"] > 0
    assert "biased" in content["notes"][0] and "note: The Fréchet distance of 12" in result.stderr
    for text in (
        "PPL",
        "γ-RMSE",
        "D-RMSE",
        "Motion share",
        "Fréchet distance (classifier features)",
        "evaluate.json",
    ):
        assert text in result.stdout
    with Image.open(tmp_path / "out" / "evaluate.png") as image:
        image.load()
        assert min(image.size) > 400


@pytest.mark.slow
def test_motion_and_a_cross_fade(geojax_command, tmp_path, cheap_lpips):
    """A square that moves, and one that fades from the first place into the last, beside each
    other; LPIPS to the truth is left out where AlexNet does not take the frames.
    """
    times = np.linspace(0, 1, 8)
    moving = [square_at(2 + 2 * i) for i in range(8)]
    fading = [(1 - t) * moving[0] + t * moving[-1] for t in times]
    truth = write(tmp_path / "truth", moving)
    write_path(tmp_path / "paths" / "moving", moving, times)
    write_path(tmp_path / "paths" / "fading", np.rint(fading), times)
    paths, out = tmp_path / "paths", tmp_path / "out"
    result = geojax_command("evaluate", paths, "--truth", truth, "--out", out)
    assert result.exit_code == 0, result.output
    content = content_of(out)
    moving, fading = (content["paths"][name]["figures"] for name in ("moving", "fading"))
    assert moving["motion_share"] > 0.99 and fading["motion_share"] < 0.01
    assert moving["gamma_rmse"] == moving["data_rmse"] == 0
    assert 0 < fading["data_rmse"] < fading["gamma_rmse"]
    assert moving["ppl"] > 0 and "lpips" not in moving and "ssim" in moving
    assert "31 pixels a side: it is left out. --lpips squeeze takes 17." in content["notes"][0]


@pytest.mark.slow
def test_a_result_of_interpolate(geojax_command, tmp_path, cheap_lpips):
    """Every method beside the others, from the result, from its frames, or one alone. The given
    pictures a.png and b.png are no frames.
    """
    frames = tmp_path / "result" / "frames"
    times, images = (0, 0.5, 1, 1.5), fade(4, 20)
    write_path(frames / "geodesic", images, times)
    write_path(frames / "LERP", images[::-1], times)
    write(frames / "given", [np.zeros((20, 20)), images[2] + 51], ["a.png", "b.png"])
    for name in ("paths.png", "energy.png"):  # of the result, and no frames either
        Image.new("RGB", (50, 30)).save(tmp_path / "result" / name)
    (tmp_path / "result" / "metrics.json").write_text('{"methods": {"LERP": 1, "geodesic": 1}}')
    results = []
    for folder in (tmp_path / "result", frames, frames / "geodesic"):
        result = geojax_command("evaluate", folder, "--out", tmp_path / folder.name / "out")
        assert result.exit_code == 0, result.output
        results.append(content_of(tmp_path / folder.name / "out")["paths"])
    whole, of_frames, alone = results
    assert list(whole) == ["LERP", "geodesic"]
    assert of_frames == whole and alone == {"geodesic": whole["geodesic"]}
    figures = whole["geodesic"]["figures"]
    assert whole["geodesic"]["by_frame"]["times"] == [0, 0.5, 1, 1.5]
    assert figures["end_error"] == pytest.approx(0.2)
    # Frames 0, 10 and 20 lie between A and B; 20 and 30 beyond.
    assert figures["length"] == pytest.approx(20 * 20 * 2 / 255)
    assert figures["length_beyond"] == pytest.approx(20 * 10 * 2 / 255)
    assert figures["frames_beyond"] == 1
    assert "(beyond B)" in result.stdout
    assert not {"lpips", "psnr", "gamma_rmse", "frechet_classifier"} & set(figures)
    assert figures["ppl"] == pytest.approx(2 * 20 / 255)
    (frames / "LERP" / "frame_0.5000.png").unlink()
    assert_refused(geojax_command("evaluate", frames), "must hold frames of one number, size and")


@pytest.mark.slow
def test_pictures_against_a_set(geojax_command, tmp_path, cheap_lpips, monkeypatch):
    """By the features of EfficientNet-Lite0, under that name; here by each image's first pixels."""
    given = []

    def load(file):
        given.append(file)
        return lambda image: jnp.ravel(jnp.asarray(image))[:3]

    monkeypatch.setattr(EfficientNetLite0, "load", load)
    a, b = RNG.integers(0, 256, (2, 6, 16, 16))
    frames, reference = write(tmp_path / "frames", a), write(tmp_path / "reference", b)
    options = ("--reference", reference, "--efficientnet", "w.pth", "--out", tmp_path / "out")
    result = geojax_command("evaluate", frames, *options)
    assert result.exit_code == 0, result.output
    figures = only(content_of(tmp_path / "out"))["figures"]
    pixels = (jnp.asarray(x[:, 0, :3] / 127.5 - 1) for x in (a, b))
    distance = figures["frechet_efficientnet_lite0"]
    assert distance == pytest.approx(float(frechet_distance(*pixels)), rel=1e-6)
    assert figures["kernel_efficientnet_lite0_se"] > 0
    assert given == [Path("w.pth")] and not {"fid", "frechet_classifier"} & set(figures)
    assert "Fréchet distance (EfficientNet-Lite0 features)" in result.stdout


@pytest.mark.slow
def test_a_users_own_pictures_named_a_and_b_are_frames(geojax_command, tmp_path, cheap_lpips):
    frames = write(tmp_path / "frames", fade(3), ["a.png", "b.png", "c.png"])
    result = geojax_command("evaluate", frames, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert only(content_of(tmp_path / "out"))["figures"]["frames"] == 3


@pytest.mark.slow
def test_figures_between_and_beyond_are_separate(geojax_command, tmp_path, monkeypatch):
    monkeypatch.setattr(LPIPS, "load", lambda *_: LPIPS(root_mean_square, "squeeze"))
    levels = np.asarray([0, 10, 20, 60, 100])[:, None, None] * np.ones((5, 20, 20))
    frames = write_path(tmp_path / "geodesic", levels, (0, 0.5, 1, 1.25, 1.5))
    off = np.asarray([51, 51, 51, 102, 102])[:, None, None]
    truth = write(tmp_path / "truth", levels + off)
    out = tmp_path / "out"
    result = geojax_command("evaluate", frames, "--truth", truth, "--out", out)
    assert result.exit_code == 0, result.output
    figures = only(content_of(out))["figures"]
    for end, steps, error in (("", (10, 10), 51), ("_beyond", (40, 40), 102)):
        assert figures["ppl" + end] == pytest.approx(2 * sum(steps) / 255)
        assert figures["pdv" + end] == pytest.approx(0, abs=1e-12)
        assert figures["lpips" + end] == pytest.approx(2 * error / 255)
        assert figures["psnr" + end] == pytest.approx(20 * np.log10(255 / error))
        assert figures["length" + end] == pytest.approx(20 * sum(steps) * 2 / 255)


@pytest.mark.slow
def test_frames_that_are_the_truth_and_small(geojax_command, tmp_path):
    frames = write(tmp_path / "frames", fade(3, 8))
    result = geojax_command("evaluate", frames, "--truth", frames, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "infinite: equal" in result.stdout
    content = content_of(tmp_path / "out")
    figures = only(content)["figures"]
    assert figures["psnr"] is None and "ssim" not in figures
    assert len(content["notes"]) == 2


def test_bad_input_is_refused(geojax_command, tmp_path, monkeypatch):
    frames = write(tmp_path / "frames", fade(3, 12))
    one = write(tmp_path / "one", fade(1))
    empty = write(tmp_path / "empty", [])
    mixed = write(tmp_path / "mixed", [np.zeros((8, 8)), np.zeros((8, 9))])
    broken = write(tmp_path / "broken", fade(2))
    (broken / "frame_1.png").write_text("no image")

    def run(*options):
        return geojax_command("evaluate", *options, "--out", tmp_path / "out")

    assert_refused(run(tmp_path / "nowhere"), "nowhere does not exist: give a folder of image")
    assert_refused(run(frames / "frame_0.png"), "frame_0.png is a file: give a folder of image")
    assert_refused(run(empty), "holds no image files.")
    assert_refused(run(one), "holds 1 image: a path needs two.")
    assert_refused(run(mixed), "frame_1.png is 9 x 8 pixels, not 8 x 8 as the others")
    assert_refused(run(broken), "frame_1.png is not a readable image file.")
    few = write(tmp_path / "few", fade(2, 12))
    assert_refused(run(frames, "--truth", few), "holds 2 images, and there are 3 frames")
    assert_refused(run(frames, "--truth", one), "is 28 x 28 pixels, not 12 x 12")
    assert_refused(run(frames, "--inception", "w.pth"), "--inception is for --reference")
    assert_refused(run(frames, "--efficientnet", "w.pth"), "--efficientnet is for --reference")
    both = run(frames, "--reference", few, "--inception", "w.pth", "--efficientnet", "w.pth")
    assert_refused(both, "exclude each other: give one of them")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    absent = run(frames, "--reference", few)
    assert_refused(absent, "the package is not installed: python -m pip install 'geojax-diffusion[")
    missing = run(frames, "--reference", few, "--inception", tmp_path / "w.pth")
    assert_refused(missing, "FID needs Inception's weights, and there is no file")
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.slow
def test_files_with_wrong_content_are_refused(geojax_command, tmp_path, monkeypatch):
    frames = write(tmp_path / "frames", fade(3))
    one = write(tmp_path / "one", fade(1))

    def run(*options):
        return geojax_command("evaluate", frames, *options, "--out", tmp_path / "out")

    assert_refused(run("--reference", one), "one holds 1 image: a set needs two.")
    weights = tmp_path / "weights"
    squeeze = ("--lpips", "squeeze", "--lpips-weights", weights)
    assert_refused(run(*squeeze), "squeezenet1_1-b8a52dc0.pth")
    weights.mkdir()
    (weights / "squeezenet1_1-b8a52dc0.pth").write_text("junk")
    assert_refused(run(*squeeze), "squeezenet1_1-b8a52dc0.pth")
    assert_refused(run("--lpips-weights", weights), "alexnet-owt-7be5be79.pth")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    (tmp_path / "w.pth").write_text("junk")
    without = run("--reference", frames, "--inception", tmp_path / "w.pth")
    assert_refused(without, "FID needs torch-fidelity: python -m pip install")


@pytest.mark.slow
def test_pictures_that_lie_on_their_side(geojax_command, tmp_path, cheap_lpips):
    """By their EXIF, as cameras write it: no frame is resized."""
    folder = tmp_path / "frames"
    folder.mkdir()
    on_its_side = Image.Exif()
    on_its_side[0x0112] = 6
    for i in range(2):
        image = Image.fromarray(np.full((20, 40), 50 * i, np.uint8))
        image.save(folder / f"{i}.jpg", exif=on_its_side)
    result = geojax_command("evaluate", folder, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "resized" not in result.stderr
    assert only(content_of(tmp_path / "out"))["figures"]["length"] > 0
