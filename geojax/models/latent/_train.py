"""Training of a latent model from a user's pictures: an autoencoder, then the score; resumable."""

import csv
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.tree_util import Partial
from jaxtyping import Array, Float

from ..._arrays import Numbers
from ..._files import written_whole
from ..._numbers import number
from ..._shares import writes_files
from ...scores import batch_loss
from .._checkpoint import load_arrays, save_arrays
from .._data_parallel import here, on_all, shared_out
from .._steps import check_dtype, constants, first_state, run_steps
from ._autoencoder import Autoencoder, from_bytes
from ._components import principal_components
from ._distances import REACH, label_distances, picture_distances
from ._examples import save_examples
from ._figures import latent_figures
from ._model import LatentModel, build_latent_model

LATENT_CONFIG: dict[str, Any] = {
    "kind": "latent",
    "autoencoder": {
        "channels": 1,
        "side": 32,
        "widths": [16, 32, 64],
        "hidden": 256,
        "latent": 8,
    },
    "components": 8,
    "schedule": {"name": "ve", "sigma_min": 0.03, "sigma_max": 3.0},
    "denoiser": {"width": 384, "depth": 4},
    "training": {
        "autoencoder_steps": 5000,
        "autoencoder_batch": 96,
        "denoiser_steps": 8000,
        "denoiser_batch": 192,
        "learning_rate": 1e-3,
        "shaping": 1.0,
        "neighbours": 6,
        "anchors": 512,
        "seed": 0,
    },
}
PHASES = ("autoencoder", "denoiser")
_CHUNK = 25  # steps in one call of a compiled program, whose convolutions are matrix products
_ROW = 100  # the most steps in the mean of a row of `loss.csv`
_USED = "autoencoder_batch", "denoiser_batch", "shaping", "dtype"  # by a step
_EMA = 0.999
_NEAREST = 24  # pictures that count as near
_UNJOINED = 0.75  # distance of pictures that no path joins, as a share of `REACH`
_SMALL = 0.3  # errors are relative for distances above this, absolute for those below


def train_latent_model(
    config: dict[str, Any],
    images: Numbers,
    folder: Path | str,
    *,
    labels: Numbers | None = None,
    period: float | None = None,
    groups: Numbers | None = None,
    save_every: int = 500,
    callback: Callable[[str, int, float], None] | None = None,
    devices: Mesh | None = None,
) -> LatentModel:
    """Train an autoencoder of pictures and a score in its latent space, or resume a run.

    The latent space is shaped during the training of the autoencoder. The distances between pairs
    are fitted to those along the neighbour graph of the pictures (`picture_distances`), or to those
    of their `labels` (`label_distances`). This unfolds motions. `config["training"]["shaping"]` is
    the weight of this loss, 0 for none.

    With `config["training"]["dtype"]` "bfloat16" the autoencoder's convolutions are computed in 16
    bits. Weights, matrices to and from the latent space, losses and the denoiser stay in float32.
    Step k draws from `fold_in(seed, k)`, so an interrupted run gives the result of an uninterrupted
    one.

    **Arguments:**

    - `config`: as `LATENT_CONFIG`.
    - `images`: pixels in 0 ... 255, shape `(pictures, side, side)` or (pictures, side, side, 3).
    - `folder`: receives `config.json` (with the measured level, contrast and detour),
      `model.safetensors`, `loss.csv`, and the state to resume from.
    - `labels`, `period`, `groups`: as for [`geojax.models.latent.label_distances`][].
    - `save_every`: steps between saves.
    - `callback`: called as `callback(phase, step, loss)` every 25 steps.
    - `devices`: as for [`geojax.models.train`][].

    **Returns:**

    The model, with moving averages as weights.

    **Raises:**

    - `ValueError`: when `config` describes no model, the pictures do not fit it, or `folder` has a
      run of another config.
    - `FloatingPointError`: when a loss is no longer finite. The last saved state stays.

    Source: arXiv 2505.18230 shapes the latent space by labels; Karras et al. 2022 for the denoiser.
    """
    folder, settings = Path(folder), config["training"]
    check_dtype(settings)
    model = build_latent_model(config, seed=settings["seed"])
    pixels = _as_pictures(images, model.shape)
    _begin(folder, config, devices)
    show = callback or (lambda *_: None)
    fit = functools.partial(_fit, folder, settings, save_every, show, devices)
    anchors, distances = _distances(settings, pixels, labels, period, groups)
    options = (*constants(settings, *_USED), ("devices", devices))
    data = jnp.asarray(pixels), jnp.asarray(anchors), jnp.asarray(distances, jnp.float32)
    loss = Partial(_autoencoder_loss, *data, jnp.asarray(_nearest(distances)), options)
    autoencoder = fit("autoencoder", model.autoencoder, loss)
    latents = _encoded(autoencoder, data[0])
    components = principal_components(latents, config["components"])
    points = jax.vmap(components.project)(latents)
    score = fit("denoiser", model.score, Partial(_denoiser_loss, points, options))
    model = LatentModel(
        autoencoder=autoencoder, components=components, score=score, t=number("t", 0.4)
    )
    figures = latent_figures(model, pixels, points, seed=settings["seed"])
    model = eqx.tree_at(lambda m: m.t, model, jnp.asarray(figures["t"], jnp.float32))
    if writes_files(devices):
        save_arrays(folder / "model.safetensors", model)
        save_examples(folder, pixels, np.asarray(points))
        _write(folder, {**config, "shape": model.shape, "figures": figures})
    return model


def _as_pictures(images, shape) -> np.ndarray:
    """Pixels of shape `(pictures, channels, side, side)`."""
    channels, side, _ = shape
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise ValueError(
            f"images must be pixels in 0 ... 255 (uint8), got {images.dtype}. From [-1, 1]: "
            "np.uint8(np.round((images + 1) * 127.5))."
        )
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[1:] != (side, side, channels) or len(images) < 8:
        raise ValueError(
            f"images must be at least 8 pictures of shape ({side}, {side}, {channels}), got shape "
            f"{images.shape}. The config's autoencoder defines side and channels."
        )
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _begin(folder: Path, config: dict[str, Any], devices: Mesh | None) -> None:
    """Write the config, or check that the run in the folder has the same one."""
    path = folder / "config.json"
    wanted = json.loads(json.dumps(config))
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if {k: v for k, v in found.items() if k not in ("figures", "shape")} != wanted:
            raise ValueError(
                f"{folder} holds a training run of another config. Choose another folder, or "
                "delete it."
            )
    elif writes_files(devices):
        _write(folder, config)


def _write(folder: Path, config: dict[str, Any]) -> None:
    with written_whole(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _distances(settings, pixels, labels, period, groups) -> tuple[np.ndarray, np.ndarray]:
    """Anchor pictures, and the distances of all pictures from them."""
    count = min(settings["anchors"], len(pixels))
    anchors = np.random.default_rng(settings["seed"]).permutation(len(pixels))[:count]
    if not settings["shaping"]:
        return anchors, np.zeros((count, len(pixels)), np.float32)
    if labels is not None:
        return anchors, label_distances(labels, anchors, period=period, groups=groups)
    neighbours = min(settings["neighbours"], len(pixels) - 1)
    return anchors, picture_distances(pixels, anchors, neighbours=neighbours)


def _autoencoder_loss(pixels, anchors, distances, nearest, options, autoencoder, row, key):
    """The mean squared error of pictures, and of the distances of their latents."""
    settings = dict(options)
    dtype = jnp.dtype(settings.get("dtype", "float32"))
    half = max(1, settings["autoencoder_batch"] // 2)
    first, second, third = jax.random.split(key, 3)
    a = jax.random.randint(first, (half,), 0, len(anchors))
    b = jax.random.randint(second, (half,), 0, len(pixels))
    # Every second pair is a near one, so that motions are even at short distances too.
    near = nearest[a, jax.random.randint(third, (half,), 0, nearest.shape[1])]
    b = jnp.where(jnp.arange(half) % 2 == 0, near, b)
    x = from_bytes(pixels[shared_out(jnp.concatenate([anchors[a], b]), settings["devices"])])
    z = jax.vmap(lambda x: autoencoder.encoded(x, dtype))(x)
    error = jnp.mean((jax.vmap(lambda z: autoencoder.decoded(z, dtype))(z) - x) ** 2)
    if not settings["shaping"]:
        return error
    wanted = distances[a, b]
    apart = jnp.sqrt(jnp.sum((z[:half] - z[half:]) ** 2, axis=1) + 1e-12)
    # All pictures that no path joins get the same distance, so that different motions lie side
    # by side, and none of them shrinks.
    wanted = jnp.where(jnp.isfinite(wanted), wanted, _UNJOINED * REACH)
    strain = (apart - wanted) ** 2 / (wanted**2 + _SMALL**2)
    return error + settings["shaping"] * jnp.mean(strain)


def _nearest(distances: np.ndarray) -> np.ndarray:
    """The pictures nearest to each anchor, shape (anchors, `_NEAREST` or fewer)."""
    count = max(2, min(_NEAREST, distances.shape[1] // 8))
    return np.argsort(distances, axis=1)[:, 1 : count + 1]


def _denoiser_loss(points, options, score, row, key):
    """Denoising score matching, always in float32, because the network defines the geometry."""
    first, second = jax.random.split(key)
    index = jax.random.randint(first, (dict(options)["denoiser_batch"],), 0, len(points))
    index = shared_out(index, dict(options)["devices"])
    return batch_loss(score, points[index], None, key=second, time_min=0.0)


@eqx.filter_jit
def _encoded(autoencoder: Autoencoder, pixels) -> Float[Array, "pictures latent"]:
    return jax.lax.map(lambda p: autoencoder.encode(from_bytes(p)), pixels, batch_size=256)


def _fit(folder, settings, save_every, callback, devices, phase: str, module, loss):
    """Minimise a loss from the state of the folder to the end of the phase."""
    steps, root = settings[f"{phase}_steps"], jax.random.key(settings["seed"] + 1)
    optimiser = _optimiser(settings["learning_rate"], steps)
    saved = folder / f"training-{phase}.safetensors"
    state = first_state(module, optimiser)
    if saved.is_file():
        state = load_arrays(saved, state)
    state, loss = on_all((state, loss), devices)
    history = [row for row in _losses(folder) if row[0] != phase or row[1] <= int(state.step)]
    recent = []
    step = since = saved_at = int(state.step)
    while step < steps:
        count = min(_CHUNK, steps - step)
        state, values = run_steps(state, loss, jnp.arange(count), optimiser, root, _EMA)
        state = on_all(state, devices)
        step += count
        recent.extend(np.asarray(values).tolist())
        if not np.isfinite(recent[-1]):
            raise FloatingPointError(
                f"the loss of the {phase} is {recent[-1]} at step {step}. The last saved state in "
                f"{folder} is intact: lower learning_rate and run again."
            )
        callback(phase, step, recent[-1])
        saves = step - saved_at >= save_every or step == steps
        if step - since >= _ROW or saves:
            history.append((phase, step, float(np.mean(recent))))
            recent, since = [], step
        if saves:
            saved_at = step
            if writes_files(devices):
                save_arrays(saved, here(state, devices))
                _write_losses(folder, history)
    return here(state.average, devices)


# Cached, because steps are compiled again for a new optimiser object.
@functools.lru_cache
def _optimiser(peak: float, steps: int) -> optax.GradientTransformation:
    rate = optax.warmup_cosine_decay_schedule(0.0, peak, min(100, steps // 2), steps, 0.02 * peak)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate, b2=0.99))


def latent_losses(folder: Path | str) -> dict[str, list[tuple[int, float, float]]]:
    """By phase, the rows (step, mean loss since the previous row, NaN) of a training run.

    >>> from geojax.models.latent import latent_losses
    >>> latent_losses("no-such-folder")
    {}
    """
    rows = _losses(Path(folder))
    return {
        phase: [(step, loss, float("nan")) for name, step, loss in rows if name == phase]
        for phase in PHASES
        if any(row[0] == phase for row in rows)
    }


def _losses(folder: Path) -> list[tuple[str, int, float]]:
    path = folder / "loss.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return [(r["phase"], int(r["step"]), float(r["loss"])) for r in csv.DictReader(file)]


def _write_losses(folder: Path, history) -> None:
    with written_whole(folder / "loss.csv") as temporary, temporary.open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["phase", "step", "loss"])
        writer.writerows((phase, step, f"{loss:.6g}") for phase, step, loss in history)
