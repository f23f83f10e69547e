"""Whether a latent model knows two pictures: by what is left of them when they are decoded."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

_LOST = 6.0  # decibels below the model's own pictures: four times their squared error


def check_decoded(
    model: Any,
    config: Mapping[str, Any],
    pictures: Sequence[Any],
    names: Sequence[str],
    *,
    name: str,
    force: bool,
) -> list[str]:
    """Notices about pictures that the model decodes badly.

    **Raises:** `ValueError` on a picture that is decoded far worse than the model's own, unless
    ``force``.
    """
    decoded = eqx.filter_jit(lambda model, x: model.to_image(model.to_level(x)))
    usual = config.get("figures", {}).get("psnr", 0.0)
    notices = []
    for picture, called in zip(pictures, names, strict=True):
        error = float(jnp.mean((decoded(model, picture) - picture) ** 2))
        psnr = float(10 * np.log10(4 / max(error, 1e-12)))
        if psnr >= usual - _LOST:
            continue
        told = (
            f"encoded and decoded it is {psnr:.1f} dB from itself, the model's own pictures are "
            f"{usual:.1f} dB from themselves"
        )
        if not force:
            raise ValueError(
                f"the model {name} does not know {called}: {told}. Give pictures of the kind that "
                "it was trained on, train a model of yours (`geojax train --images`), or give "
                "--force to compute all the same."
            )
        notices.append(f"{called} is unusual for the model {name}: {told}.")
    return notices
