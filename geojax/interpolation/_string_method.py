"""The string method: a whole path denoised at once (Moreau et al., arXiv 2602.22122)."""

import functools
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._numbers import scalar
from ..geodesics import AbstractRule, Midpoint, Polyline
from ..scores import NoiseRoute
from ._base import AbstractInterpolator, InterpolatedPath, closed_form_path, only_between
from ._lerp import Lerp
from ._spacing import equal_steps

_LEAST_TIME = 1e-3  # the score is not evaluated below it, as in denoising


class StringMethod(AbstractInterpolator):
    """A path at the level of `route` that is denoised as a whole.

    Every node moves by the velocity of the probability flow plus `gamma^2` times the score. After
    each step the nodes are set at equal steps of the path's length. In units where alpha is 1 and
    in the time `-sigma^2 / 2` that velocity is the score itself, so that
    `dx = (1 + gamma^2) s(x) d(-sigma^2 / 2)`: a `gamma` means the same on every schedule. With 0
    each node is transported to a sample. With larger `gamma` the nodes come nearer to a path of
    most likely points, which have less detail than samples.

    A step is exact if the denoised point D does not change on the way: `x' = D + r (x - D)`, with r
    the (1 + gamma^2)th power of the ratio of the two noise levels. With `gamma = 0` that is DDIM,
    and the last step goes to D itself. The path leads from image to image, or from clean point to
    clean point if the route adds no noise. It is defined between the ends only.

    As published, there is no test of convergence: the path ends with the noise. The principal
    curves of that paper, means over noisy copies of each node, are not computed.

    **Arguments:**

    - `route`: the score, the level, the way of the ends to it, and `num_steps`, the number of
      steps. Its `denoising` is not used: the string is denoised by its own steps.
    - `gamma`: >= 0, without unit.
    - `num_segments`: between the nodes. Points between two nodes lie on a straight line.
    - `start`: the interpolator whose path at the level is the first string; default `Lerp`.
    - `ends`: "fixed" keeps each end at its image, with the noise added to it. "flow" moves the ends
      like all nodes, so that they arrive elsewhere.
    - `rule`: how many nodes are computed at once, and on which devices.

    **Raises:**

    - `ValueError`: on a negative `gamma`, unknown `ends` or `num_segments` < 1.

    Source: Moreau et al., "Probing the geometry of diffusion models with the string method", arXiv
    2602.22122.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.interpolation import StringMethod
    >>> ring = geojax.NoisedSphere(2.0, schedule=geojax.VE(0.1, 4.0))
    >>> route = geojax.NoiseRoute(ring, t=0.8, noising="none", denoising="none")
    >>> a, b = jnp.array([2.0, 0.0]), jnp.array([0.0, 2.0])
    >>> middle = StringMethod(route, num_segments=8)(a, b, jnp.array([0.5]))[0]
    >>> bool(abs(jnp.linalg.norm(middle) - 2) < 0.1)
    True
    """

    route: NoiseRoute
    gamma: Float[Array, ""] = eqx.field(
        default=0.5,  # pyright: ignore[reportAssignmentType]
        converter=functools.partial(scalar, "gamma"),
    )
    num_segments: int = eqx.field(static=True, default=32)
    start: AbstractInterpolator = eqx.field(default_factory=Lerp)
    ends: Literal["fixed", "flow"] = eqx.field(static=True, default="fixed")
    rule: AbstractRule = eqx.field(default_factory=Midpoint)

    def __check_init__(self):
        if self.ends not in ("fixed", "flow"):
            raise ValueError(f"ends must be 'fixed' or 'flow', got {self.ends!r}.")
        if self.num_segments < 1:
            raise ValueError(f"num_segments must be at least 1, got {self.num_segments}.")

    def run(self, x0, x1, ts, *, key=None):
        noised = jnp.stack([self.route.to_level(x, key=key) for x in (x0, x1)])
        return self.descend(jnp.stack([x0, x1]), noised, ts)

    @takes_arrays("images", "noised", times="ts")
    def descend(
        self,
        images: Float[Array, "2 *shape"],
        noised: Float[Array, "2 *shape"],
        ts: Float[Array, " times"],
    ) -> InterpolatedPath:
        """The images of the path between two given points of the level.

        **Arguments:**

        - `images`: the images of the two ends, shape `(2, *shape)`.
        - `noised`: the ends at the level, shape `(2, *shape)`.
        - `ts`: times in [0, 1], shape `(times,)`.
        """
        ts = only_between(ts, "the string method")
        xs = self._descended(images, noised)
        path = Polyline(jnp.linspace(0, 1, len(xs), dtype=xs.dtype), xs)
        moved = len(xs) - 2 * (self.ends == "fixed")
        return closed_form_path(jax.vmap(path.evaluate)(ts), moved * self.route.num_steps)

    @eqx.filter_jit
    def _descended(self, images, noised) -> Float[Array, "nodes *shape"]:
        schedule, dtype = self.route.score.schedule, images.dtype
        # If alpha(1) vanishes, points cannot be denoised from level 1.
        top = jnp.where(schedule.alpha(1.0) < 1e-3, 1 - _LEAST_TIME, 1.0)
        times = jnp.linspace(jnp.minimum(self.route.t, top), 0, self.route.num_steps + 1)[:-1]
        times = jnp.maximum(times, _LEAST_TIME)
        alphas = jax.vmap(schedule.alpha)(times).astype(dtype)
        levels = jax.vmap(schedule.sigma)(times).astype(dtype) / alphas
        below = jnp.concatenate([levels[1:], jnp.zeros(1, dtype)])
        noises = (noised / alphas[0] - images) / levels[0]
        power = 1 + self.gamma.astype(dtype) ** 2
        shares = jnp.linspace(0, 1, self.num_segments + 1, dtype=dtype)
        xs = self.start(noised[0], noised[1], shares) / alphas[0]

        def step(xs, at):
            time, alpha, level, next_level = at
            ratio = (next_level / level) ** power

            def moved(x):
                denoised = self.route.score.denoised(alpha * x, time, self.route.args)
                return denoised + ratio * (x - denoised)

            if self.ends == "flow":
                return equal_steps(self.rule.map(moved, xs)), None
            ends = images + next_level * noises
            inner = self.rule.map(moved, xs[1:-1])
            return equal_steps(jnp.concatenate([ends[:1], inner, ends[1:]])), None

        return jax.lax.scan(step, xs, (times, alphas, levels, below))[0]
