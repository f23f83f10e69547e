"""Many pairs of points of the bundled models, for measurements of batches."""

import jax
import jax.numpy as jnp
import numpy as np

import geojax


def lanes_of(model: str, lanes: int):
    """A metric and pairs of points, in float32."""
    draw = np.random.default_rng(0)
    if model == "characters":  # a glyph, and itself turned by at most a right angle
        pipeline = geojax.models.load("characters")
        glyphs, angles = geojax.models.GLYPHS, np.arange(0, 360, 5.0)
        pictures = geojax.models.turned_characters(glyphs, angles)
        pictures = geojax.models.from_pixels(pictures.reshape(-1, 1, *pictures.shape[-2:]))
        points = jax.vmap(pipeline.encode)(jnp.asarray(pictures, jnp.float32))
        score = pipeline.score.at(pipeline.t)
        which, start = draw.integers(0, len(glyphs), lanes), draw.integers(0, len(angles), lanes)
        first = which * len(angles) + start
        second = which * len(angles) + (start + draw.integers(3, 19, lanes)) % len(angles)
    else:  # two samples of the model, with one noise
        digits = geojax.models.load("rotated_mnist")

        def sampled(key):
            return geojax.scores.sample(digits, (1, 28, 28), key=key, num_steps=20)

        clean = jax.jit(jax.vmap(sampled))(jax.random.split(jax.random.key(0), 64))
        noise = jax.random.normal(jax.random.key(1), clean.shape[1:])
        points = jax.vmap(lambda x: digits.schedule.add_noise(x, noise, 0.4))(clean)
        score = digits.at(0.4)
        first = draw.integers(0, len(points), lanes)
        second = (first + draw.integers(1, len(points), lanes)) % len(points)
    contrast = geojax.score_contrast(score, points[first[:16]], points[second[:16]])
    return geojax.SteinScoreMetric(score, contrast.lam), points[first], points[second]
