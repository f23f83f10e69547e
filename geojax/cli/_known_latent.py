"""A check whether a latent model knows two pictures, by the error of their decoded versions."""

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

    **Raises:**

    - `ValueError`: for a picture that is decoded far worse than the model's own, unless `force`.
    """
    decoded = eqx.filter_jit(lambda model, x: model.to_image(model.to_level(x)))
    usual = config.get("figures", {}).get("psnr", 0.0)
    notices = []
    for picture, called in zip(pictures, names, strict=True):
        error = float(jnp.mean((decoded(model, picture) - picture) ** 2))
        psnr = float(10 * np.log10(4 / max(error, 1e-12)))
        if psnr >= usual - _LOST:
            continue
        reason = (
            f"its PSNR after encoding and decoding is {psnr:.1f} dB, that of the model's own "
            f"pictures {usual:.1f} dB"
        )
        if not force:
            raise ValueError(
                f"the model {name} does not know {called}: {reason}. Give pictures of the kind "
                "that it was trained on, train a model of your own (`geojax train --images`), or "
                "give --force to compute the path all the same."
            )
        notices.append(f"{called} is unusual for the model {name}: {reason}.")
    return notices
