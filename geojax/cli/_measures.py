"""The measures of `geojax evaluate`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_DIGIT = (1, 28, 28)


def load_lpips(network: str, folder: Path | None, shape, truth: bool) -> tuple[Any, list[str]]:
    """LPIPS to the truth, and a note if the frames are too small for it.

    Raises the errors of `LPIPS.load`.
    """
    from ..evaluation import LPIPS

    lpips = LPIPS.load(network, folder)
    if not truth or min(shape[1:]) >= lpips.smallest:
        return lpips, []
    other = " --lpips squeeze takes 17." if network == "alex" and min(shape[1:]) >= 17 else ""
    return lpips, [
        f"LPIPS({network}) to the truth needs images of {lpips.smallest} pixels a side: it is left "
        f"out.{other}"
    ]


def measured(path, true, lpips) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures by name, and values by frame or step."""
    import jax.numpy as jnp
    import numpy as np

    from ..evaluation import data_rmse, frame_figures, gamma_rmse, morphing_figures, motion_share

    def points(array):
        return None if array is None else jnp.asarray(array)

    images, true = jnp.asarray(path.images), points(true)
    found = frame_figures(
        images, jnp.asarray(path.times), truth=true, given=points(path.given), lpips=lpips
    )
    names = ("psnr", "ssim", "lpips", "steps", "deviation")
    values = {name: getattr(found, name) for name in names}
    values["perceptual_steps"] = morphing_figures(images).steps
    curves = {name: np.asarray(value) for name, value in values.items() if value is not None}
    figures: dict[str, Any] = {"frames": len(images)}
    inside = path.times <= 1 + 1e-6
    figures |= _summary(images, curves, inside)
    figures["deviation"] = float(np.max(curves["deviation"][inside]))
    between = images[: np.sum(inside)]
    if len(between) > 2:
        share = float(motion_share(between).share)
        figures |= {"motion_share": share} if np.isfinite(share) else {}
    if true is not None:
        figures["data_rmse"] = float(data_rmse(between, true))
        if len(between) > 1:
            figures["gamma_rmse"] = float(gamma_rmse(between, true[: len(between)]))
    if found.end_error is not None:
        figures["end_error"] = float(found.end_error)
    if not np.all(inside):
        # The way beyond starts at B and includes it.
        beyond = ~inside | np.append(~inside[1:], False)
        figures["frames_beyond"] = int(np.sum(~inside))
        figures |= {f"{k}_beyond": v for k, v in _summary(images, curves, beyond, ~inside).items()}
    return figures, curves


def _summary(images, curves, along, against=None) -> dict[str, Any]:
    """Figures of the frames where `along` is true, which follow each other.

    Figures against the truth are of those where `against` is true, by default the same.
    """
    import numpy as np

    from ..evaluation import path_figures

    against = along if against is None else against
    figures = {}
    for name in ("psnr", "ssim", "lpips"):
        if name in curves:
            values = curves[name][against]
            finite = values[np.isfinite(values)]  # the PSNR of equal images is infinite
            figures[name] = float(np.mean(finite)) if len(finite) else float("inf")
            figures[f"{name}_worst"] = float((np.max if name == "lpips" else np.min)(values))
    if np.sum(along) < 2:
        return figures
    steps = curves["perceptual_steps"][along[1:] & along[:-1]]
    figures |= {"ppl": float(np.sum(steps)), "pdv": float(np.std(steps))}
    fine = path_figures(images[along])
    return figures | {"length": float(fine.length), "speed_defect": float(fine.speed_defect)}


class Features(NamedTuple):
    """A function images -> features, and the names of the two distances of sets."""

    of: Callable[[Any], Any]
    frechet: str
    kernel: str


def load_features(shape, inception: Path | None, efficientnet: Path | None) -> Features:
    """The features for the comparison of sets.

    They are Inception's or EfficientNet-Lite0's if a weight file is given. Otherwise they are those
    of the digit classifier for digits, and for other images EfficientNet-Lite0's from the installed
    package. Raises the errors of `check_inception` and `EfficientNetLite0.load`.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from ..evaluation import EfficientNetLite0, check_inception, inception_features
    from ..models import load_classifier, to_pixels

    if inception is not None:
        check_inception(inception)

        def of_inception(images):
            three = np.broadcast_to(images, (len(images), 3, *images.shape[2:]))
            return jnp.asarray(inception_features(to_pixels(jnp.asarray(three)), inception))

        return Features(of_inception, "fid", "kid")
    if efficientnet is None and tuple(shape) == _DIGIT:
        classified = jax.jit(jax.vmap(load_classifier().features))
        return Features(
            lambda images: classified(jnp.asarray(images)),
            "frechet_classifier",
            "kernel_classifier",
        )
    try:
        network = EfficientNetLite0.load(efficientnet)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error} Or give the file with --efficientnet, or Inception's with --inception for "
            "FID and KID."
        ) from None
    return Features(
        lambda images: jnp.stack([network(image) for image in images]),
        "frechet_efficientnet_lite0",
        "kernel_efficientnet_lite0",
    )


def compared_sets(
    paths: dict[str, Any], others, features: Features, seed: int, notes: list[str]
) -> dict[str, dict[str, Any]]:
    """Of each path, the Fréchet and kernel distance of its frames from the reference images."""
    import jax

    from ..evaluation import frechet_distance, kernel_distance

    b = features.of(others)
    found: dict[str, dict[str, Any]] = {}
    count = min(len(next(iter(paths.values()))), len(b))
    if count < 10 * b.shape[1]:
        notes.append(
            f"The Fréchet distance of {len(next(iter(paths.values())))} frames and {len(b)} "
            "reference images is biased upwards: it needs ten times as many images as features "
            f"({b.shape[1]})."
        )
    if count < 4:
        notes.append("The kernel distance needs four images on either side: it is left out.")
    for name, images in paths.items():
        a = features.of(images)
        found[name] = {"reference": len(b), features.frechet: float(frechet_distance(a, b))}
        if count >= 4:
            kernel = kernel_distance(a, b, key=jax.random.key(seed))
            found[name] |= {
                features.kernel: float(kernel.value),
                f"{features.kernel}_se": float(kernel.standard_error),
            }
    return found
