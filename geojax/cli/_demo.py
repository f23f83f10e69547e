"""``geojax demo``: a geodesic between two digits that the bundled model draws itself."""

import math
from collections.abc import Sequence
from typing import Annotated

from . import _defaults as defaults
from ._console import input_checked
from ._settings import OUT, Settings, option, with_settings


@with_settings
def demo(
    settings: Settings,
    out: Annotated[str, OUT] = "geojax-demo",
    label_a: Annotated[int, option("Class of A.")] = defaults.LABEL_A,
    label_b: Annotated[int, option("Class of B.")] = defaults.LABEL_B,
    guidance: Annotated[
        float, option("Guidance scale with which both are drawn.")
    ] = defaults.GUIDANCE,
    extent: Annotated[
        float, option("How far beyond B, as a share of the way from A to B; 0: not at all.")
    ] = defaults.EXTENT,
) -> None:
    """Two digits drawn from the model, the geodesic between them and on beyond the second.

    ctrl-C keeps the path found so far.

    Example: geojax demo --label-a 4 --label-b 9 --segments 16
    """
    from ._environment import configure_jax
    from ._folders import reserve_folder
    from ._run import as_points, check_label, load_model, run, setup

    with input_checked():
        settings.check()
        if not 0 <= extent <= 10:
            raise ValueError(f"--extent must be in [0, 10], got {extent}.")
        if not math.isfinite(guidance):
            raise ValueError(f"--guidance must be a finite number, got {guidance}.")
        configure_jax(x64=settings.x64)
        score, config = load_model(settings.model)
        check_label(label_a, config, "--label-a")
        check_label(label_b, config, "--label-b")
        prepared = setup(settings, score, None)
        folder = reserve_folder(out)

    def ends():
        images = draw(score, tuple(config["shape"]), (label_a, label_b), guidance, settings.seed)
        return as_points(images[0], x64=settings.x64), as_points(images[1], x64=settings.x64)

    run(
        "demo",
        settings,
        prepared,
        ends,
        folder=folder,
        extent=extent,
        inputs={
            "label_a": label_a,
            "label_b": label_b,
            "guidance": guidance,
            "draw_steps": defaults.DRAW_STEPS,
            "extent": extent,
        },
        lead=(
            f"A digit {label_a} and a digit {label_b}, both drawn from the model {settings.model}; "
            f"a geodesic between them in its geometry at noise level t = {settings.t:g}, and its "
            "continuation beyond the second, beside LERP and SLERP."
        ),
    )


def draw(score, shape, labels: Sequence[int | None], guidance: float, seed: int):
    """An image of each class, in the order of ``labels``; None is a model without classes."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from ..scores import ClassifierFreeGuidance, sample

    guided = ClassifierFreeGuidance(score, guidance)  # pyright: ignore[reportCallIssue]
    root = jax.random.key(seed)
    keys = jnp.stack([jax.random.fold_in(root, i + 1) for i in range(len(labels))])
    numbers = None if None in labels else jnp.asarray(labels)

    @eqx.filter_jit
    def drawn(guided, keys, numbers):
        def one(key, label):
            model = guided.score if label is None else guided
            return sample(model, shape, key=key, args=label, num_steps=defaults.DRAW_STEPS)

        return jax.vmap(one)(keys, numbers)

    return drawn(guided, keys, numbers)
