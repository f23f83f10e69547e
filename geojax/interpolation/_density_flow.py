"""Density geodesics by a projected gradient flow (Yu et al., CVPR 2025)."""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._functions import checked
from .._linalg import dot, norm
from .._numbers import number
from ..geodesics import AbstractRule, Midpoint, Polyline
from ._base import AbstractInterpolator, closed_form_path
from ._spacing import equal_steps


class DensityFlow(AbstractInterpolator):
    """The path of least `integral |dx| / p(x)^beta`, found by its curvature flow.

    A geodesic of that length bends towards high density: its curvature is minus the part of
    `beta s` normal to it. Every inner point moves by half of the difference, then the points are
    set at equal steps. The middle of each segment is added and the flow continues, with 1, 3, 7,
    ... inner points and `num_iterations` iterations for each. It needs the score only, never p.
    Beyond x1 the path continues straight.

    No move is longer than half a step of the path, so that a stiff score does not throw points
    away. As published, there is no test of convergence.

    **Arguments:**

    - `score`: a callable `(x, args) -> s`.
    - `beta`: the power of the density.
    - `args`: passed to the score.
    - `levels`: 4 give 15 inner points.
    - `num_iterations`: at each number of inner points.
    - `rule`: how many points are computed at once, and on which devices.
    - `spherical`: keep the norms to those of `Slerp`, as between latents of high noise levels.

    Source: Yu et al., "Probability density geodesics in image diffusion latent space", CVPR 2025,
    arXiv 2504.06675.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.interpolation import DensityFlow
    >>> ring = geojax.Shell(radius=2.0, width=0.5)
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([-1.9, 0.6])
    >>> middle = DensityFlow(ring)(a, b, jnp.array([0.5]))[0]
    >>> bool(jnp.linalg.norm(middle) > 1.5)
    True
    """

    score: Callable[..., Any]
    beta: Float[Array, ""] = eqx.field(
        default=1.0,  # pyright: ignore[reportAssignmentType]
        converter=functools.partial(number, "beta"),
    )
    args: Any = None
    levels: int = eqx.field(static=True, default=4)
    num_iterations: int = eqx.field(static=True, default=100)
    rule: AbstractRule = eqx.field(default_factory=Midpoint)
    spherical: bool = eqx.field(static=True, default=False)

    def run(self, x0, x1, ts, *, key=None):
        xs = self._flow(x0, x1)
        path = Polyline(jnp.linspace(0, 1, len(xs), dtype=x0.dtype), xs)
        inner = jax.vmap(path.evaluate)(jnp.clip(ts, 0, 1))
        last = (len(xs) - 1) * (xs[-1] - xs[-2])
        points = jax.vmap(lambda x, t: x + jnp.maximum(t - 1, 0) * last)(inner, ts)
        evaluations = self.num_iterations * sum(2**k - 1 for k in range(1, self.levels + 1))
        return closed_form_path(points, evaluations)

    @eqx.filter_jit
    def _flow(self, x0, x1) -> Float[Array, "nodes *shape"]:
        xs = jnp.stack([x0, x1])
        for _ in range(self.levels):
            middles = (xs[1:] + xs[:-1]) / 2
            xs = jnp.stack([xs[:-1], middles], axis=1).reshape(-1, *x0.shape)
            xs = jnp.concatenate([xs, x1[None]])
            xs = jax.lax.fori_loop(0, self.num_iterations, lambda _, xs: self._moved(xs), xs)
        return xs

    def _moved(self, xs):
        score, beta = checked(self.score), self.beta.astype(xs.dtype)

        def move(before, x, after):
            tangent = (after - before) / 2
            square = jnp.sum(tangent**2)
            pull = (before + after - 2 * x) / 2 + beta * square / 2 * score(x, self.args)
            safe = jnp.where(square > 0, square, 1.0)
            pull = pull - dot(pull, tangent) / safe * tangent
            return x + pull * jnp.minimum(1, norm(tangent) / (2 * norm(pull) + 1e-30))

        inner = self.rule.map(move, xs[:-2], xs[1:-1], xs[2:])
        xs = equal_steps(jnp.concatenate([xs[:1], inner, xs[-1:]]))
        return self._on_sphere(xs) if self.spherical else xs

    def _on_sphere(self, xs):
        norms = jax.vmap(norm)(xs)
        wanted = jnp.linspace(norms[0], norms[-1], len(xs), dtype=xs.dtype)
        return jax.vmap(lambda x, factor: factor * x)(xs, wanted / norms)
