"""Spacetime geodesics: Fisher-Rao paths of denoising posteriors (Karczewski et al.)."""

import functools
from dataclasses import KW_ONLY
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, Key, Real

from .._arrays import takes_arrays
from .._linalg import matmul
from .._numbers import known, number
from ..curvature import trace_probes
from ..geodesics import RESULTS, AbstractRule, Midpoint, Polyline
from ..scores import AbstractScore
from ._base import AbstractInterpolator, InterpolatedPath, only_between
from ._posteriors import (
    Posteriors,
    flat_geodesic,
    half_inverse_laplacian,
    squared_mean,
    step_energies,
    time_of,
)
from ._spacetime_solve import by_adam, by_lbfgs

_NOTHING = 1e-9  # a negligible energy: 1 is a step to a clearly different posterior
_JUDGING = 16  # draws of probes to estimate the energy of a path


class SpacetimePath(InterpolatedPath):
    """A path of points and noise levels, as `SpacetimeGeodesic.run` returns it.

    **Arguments:**

    - `points`, `result`, `score_evaluations`, `score_products`: as for
      [`geojax.InterpolatedPath`][].
    - `noisy`: the points of the path in spacetime, each at its own level, shape `(times, *shape)`.
    - `levels`: the times of these levels in the schedule, shape `(times,)`.
    - `energy`: of the nodes, `N / 2` times the sum over the N segments.
    - `length`: of the nodes, in the Fisher-Rao metric: the sum of the roots over the segments.
    - `start_energy`: of the path that the solve started from.
    - `num_steps`: of the solve.
    - `gradient`: the squared norm of the gradient of the energy, divided by the energy, in the dual
      of the norm in which a hyperbolic half-space is flat. It is compared with `rtol`.
    """

    _: KW_ONLY
    noisy: Float[Array, "times *shape"]
    levels: Float[Array, " times"]
    energy: Float[Array, ""]
    length: Float[Array, ""]
    start_energy: Float[Array, ""]
    num_steps: Integer[Array, ""]
    gradient: Float[Array, ""]


class SpacetimeGeodesic(AbstractInterpolator):
    """The path through points and noise levels on which the posterior `p(x_0 | x_t)` changes least.

    Use it to compare with geodesics at a fixed noise level. Both ends are at the level `t`, and the
    path is defined between them only.

    The posteriors at all points and levels are an exponential family, with natural parameters
    `eta = (alpha x / sigma^2, -alpha^2 / (2 sigma^2))` and moments
    `mu = (E[x_0 | x_t], E[|x_0|^2 | x_t])`. The squared Fisher-Rao distance of neighbours is about
    `<Delta eta, Delta mu>`, the symmetric Kullback-Leibler divergence of the two posteriors. So the
    energy needs the denoised point and the divergence of the denoiser, but no Jacobian. Paths rise
    in noise, where posteriors overlap, and come down again. The solve starts from the geodesic of a
    flat density, which is known in closed form, and moves the inner nodes.

    A learned score is not exactly the score of a density, so its energies may be negative. L-BFGS
    counts such segments as zero; if one is left at the end, the result is
    `RESULTS.negative_energy`.

    **Arguments:**

    - `score`: a score at every level.
    - `t`: the level of both ends, the lowest of the path. Clean points are treated as points of
      that level.
    - `args`: passed to the score.
    - `num_probes`: None takes the exact divergence, by one derivative product a dimension, and
      L-BFGS. A number takes as many random vectors (Hutchinson's estimate), drawn anew at every
      step of Adam, as published: with fixed vectors a minimiser would exploit what they do not
      measure.
    - `key`: draws the random vectors if `run` is given no key.
    - `shown`: which points represent the path. "flow": each point followed down to level `t` by
      `num_flow_steps` steps of the probability flow (DDIM); both ends are the given points. "mean":
      the mean of the posterior, as published, times alpha to be a point of level `t`; it has less
      detail than a sample, and the ends change too. "noisy": the points of the path in the units of
      level `t`, with the noise of their own levels. `SpacetimePath.noisy` has them with every
      choice.
    - `num_segments`, `max_steps`, `rtol`: of the solve. Adam takes all of the steps, at rates that
      fall to zero. `rtol` bounds `SpacetimePath.gradient`; by default 1e-6, in float32 1e-3, with
      probes 1e-4.
    - `rule`: how many points are computed at once, and on which devices.

    **Raises:**

    - `ValueError`: when `t` is outside (0, 1], or above 0.999 where alpha(1) is 0; when `shown` is
      unknown; when a number is below 1; when `num_probes` has no key.

    Source: Karczewski et al., "The spacetime of diffusion models: an information geometry
    perspective", arXiv 2505.17517.

    >>> import jax.numpy as jnp, geojax
    >>> from geojax.interpolation import SpacetimeGeodesic
    >>> modes = geojax.GaussianMixture([[-1.0], [1.0]], scales=0.2, schedule=geojax.VE(0.05, 5.0))
    >>> path = SpacetimeGeodesic(modes, 0.2, num_segments=8).run([-1.0], [1.0], [0.0, 0.5, 1.0])
    >>> bool(path.successful), bool(path.levels[1] > 2 * path.levels[0])
    (True, True)
    """

    score: AbstractScore
    t: Float[Array, ""] = eqx.field(converter=functools.partial(number, "t"))
    args: Any = None
    _: KW_ONLY
    num_probes: int | None = eqx.field(static=True, default=None)
    key: Key[Array, ""] | None = None
    shown: Literal["flow", "mean", "noisy"] = eqx.field(static=True, default="flow")
    num_segments: int = eqx.field(static=True, default=32)
    num_flow_steps: int = eqx.field(static=True, default=20)
    max_steps: int = eqx.field(static=True, default=500)
    rtol: float | None = None
    rule: AbstractRule = eqx.field(default_factory=Midpoint)

    def __check_init__(self):
        if (t := known(self.t)) is not None and not 0 < t <= 1:
            raise ValueError(f"t must lie in (0, 1], got {t:g}. Step k of T is t = k / T.")
        if t is not None and (top := known(self._range(self.t.dtype)[1])) is not None and t > top:
            raise ValueError(
                f"t must be at most {top:g} with this schedule, whose alpha(1) is 0, got {t:g}: "
                "the path rises from there to higher levels."
            )
        if self.shown not in ("flow", "mean", "noisy"):
            raise ValueError(f"shown must be 'flow', 'mean' or 'noisy', got {self.shown!r}.")
        for name in ("num_segments", "num_flow_steps", "num_probes"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")

    @takes_arrays("x")
    def moments(
        self, x: Float[Array, "*shape"], t: Real[ArrayLike, ""]
    ) -> tuple[Float[Array, "*shape"], Float[Array, ""]]:
        """The moments `E[x_0 | x_t]` and `E[|x_0|^2 | x_t]` at a point `x` of level `t`.

        **Returns:**

        The first in the shape of `x`, the second a scalar.
        """
        time, posteriors = self.score.checked_time(t), self._posteriors(self._probes(x, self.key))
        mean, spread = posteriors.at(x / self._alpha(time, x.dtype), time)
        return mean, spread + jnp.sum(mean**2)

    @takes_arrays("xs", times="levels")
    def segment_energies(
        self, xs: Float[Array, "nodes *shape"], levels: Float[Array, " nodes"]
    ) -> Float[Array, " segments"]:
        """`<Delta eta, Delta mu>` from node to node of any path in spacetime.

        **Arguments:**

        - `xs`: the points, each at its own level, shape `(nodes, *shape)`.
        - `levels`: the times of these levels, shape `(nodes,)`.

        **Returns:**

        The energies, shape `(segments,)`.
        """
        alphas = jax.vmap(lambda t: self._alpha(t, xs.dtype))(levels)
        ys = jax.vmap(lambda x, alpha: x / alpha)(xs, alphas)
        moments = self._posteriors(self._probes(xs[0], self.key)).of_nodes(ys, levels)
        return step_energies(ys, jax.vmap(self._level)(levels), *moments)

    def run(self, x0, x1, ts, *, key=None):
        key = self.key if key is None else key
        self._probes(x0, key)  # a missing key is an error here
        return self._run(x0, x1, only_between(ts, "the spacetime geodesic"), key)

    @eqx.filter_jit
    def _run(self, x0, x1, ts, key) -> SpacetimePath:
        dtype, n = x0.dtype, self.num_segments
        low, high = self._range(dtype)
        alpha = self._alpha(low, dtype)
        ends, lows = jnp.stack([x0, x1]) / alpha, jnp.stack([low, low])
        bottom, top = jnp.log(self._level(low)), jnp.log(self._level(high))
        ys, logs, flat = flat_geodesic(ends, bottom, top, n)
        sizes = jnp.exp(logs[1:-1, None])
        basis = half_inverse_laplacian(n, dtype)
        exact = self.num_probes is None
        fixed = self._posteriors(None).of_nodes(ends, lows) if exact else None

        def time_at(log):
            return time_of(self.score.schedule, log, low, high)

        def nodes(offsets):
            """Points and log-levels at `offsets` from the start.

            The units weigh all coordinates equally if the posteriors are Gaussians whose standard
            deviation is the level.
            """
            moved = matmul(basis, offsets.astype(dtype))
            inner = ys[1:-1] + (sizes * moved[:, :-1]).reshape(ys[1:-1].shape)
            inner_logs = logs[1:-1] + moved[:, -1] / (2 * x0.size) ** 0.5
            return inner, jnp.clip(inner_logs, bottom, top)

        def energy(offsets, key):
            posteriors = self._posteriors(self._probes(x0, key))
            inner, inner_logs = nodes(offsets)
            times = jax.vmap(time_at)(inner_logs)
            moments = posteriors.of_nodes(inner, times)
            at_ends = posteriors.of_nodes(ends, lows) if fixed is None else fixed
            levels = jax.vmap(self._level)(_between(lows, times))
            means, spreads = jax.tree.map(_between, at_ends, moments)
            steps = step_energies(_between(ends, inner), levels, means, spreads)
            # From a single draw the energy of a segment may well be negative.
            return n / 2 * jnp.sum(jax.nn.relu(steps) if exact else steps), steps

        # In the default dtype, the only one that the history of L-BFGS has.
        zero = jnp.zeros((n - 1, x0.size + 1))
        unit = jnp.where(flat > 0, flat, 1.0)
        of_energy = jax.value_and_grad(energy, has_aux=True)
        # Separate draws, the same for both, estimate the energies at the start and at the end.
        if exact:
            found = by_lbfgs(lambda x: energy(x, None)[0] / unit, zero, dtype, self.max_steps)
            draws = jnp.zeros(1)
        else:
            search, judge = jax.random.split(key)
            found = by_adam(lambda *given: of_energy(*given)[1], zero, self.max_steps, key=search)
            draws = jax.random.split(judge, _JUDGING)
        (energies, steps), slopes = jax.lax.map(
            lambda offsets: jax.lax.map(lambda draw: of_energy(offsets, draw), draws),
            jnp.stack([zero, found.offsets]),
        )
        start_energy, final = jnp.mean(energies, axis=1)
        gradient = squared_mean(slopes[1].astype(dtype)) / jnp.maximum(final, _NOTHING)
        inner, inner_logs = nodes(found.offsets)
        mean_steps = jnp.mean(steps[1], axis=0)
        doubt = 3 * jnp.std(steps[1], axis=0) / _JUDGING**0.5
        doubt = doubt + 1e-4 * jnp.mean(jnp.abs(mean_steps)) + _NOTHING
        shares = jnp.linspace(0, 1, n + 1, dtype=dtype)
        points = Polyline(shares, _between(ends, inner))
        heights = Polyline(shares, _between(jnp.stack([bottom, bottom]), inner_logs))
        at = jax.vmap(points.evaluate)(ts), jax.vmap(heights.evaluate)(ts)
        times = jax.vmap(time_at)(at[1])
        shown, shown_cost = self._shown(*at, time_at, bottom)
        evaluations, products = self._cost(found, x0.size)
        return SpacetimePath(
            alpha * shown,
            self._verdict(found, final, gradient, jnp.all(mean_steps >= -doubt), shown),
            evaluations + shown_cost * len(ts),
            products,
            noisy=jax.vmap(lambda t, y: self._alpha(t, dtype) * y)(times, at[0]),
            levels=times,
            energy=final,
            length=jnp.sum(jnp.sqrt(jax.nn.relu(mean_steps))),
            start_energy=start_energy,
            num_steps=found.steps,
            gradient=gradient,
        )

    def _shown(self, ys, logs, time_at, bottom):
        """The points that represent the path, where alpha is 1, and the evaluations for each."""

        def mean(y, log):
            t = time_at(log)
            return self.score.denoised(self._alpha(t, y.dtype) * y, t, self.args)

        def down(y, log):
            step = (bottom - log) / self.num_flow_steps

            def once(y, k):
                clean = mean(y, log + k * step)
                return clean + jnp.exp(step) * (y - clean), None

            return jax.lax.scan(once, y, jnp.arange(self.num_flow_steps, dtype=y.dtype))[0]

        if self.shown == "noisy":
            return ys, 0
        if self.shown == "mean":
            return self.rule.map(mean, ys, logs), 1
        return self.rule.map(down, ys, logs), self.num_flow_steps

    def _cost(self, found, size):
        """The score evaluations and derivative products of the solve."""
        # L-BFGS computes the energy at every step and the gradient at every accepted step. Adam
        # computes both at every step, and the ends for every draw. Energy and gradient at the start
        # and at the end are for the figures.
        exact = self.num_probes is None
        judged = 2 * (1 if exact else _JUDGING)
        values, gradients = found.steps + judged, found.accepted + judged
        count = self.num_segments - 1 if exact else self.num_segments + 1
        directions = size if self.num_probes is None else self.num_probes
        at_ends = 2 * exact
        evaluations = count * (values + gradients) + at_ends
        # The gradient is one product through the evaluation and one through every product.
        products = count * (values * directions + gradients * (directions + 1))
        return evaluations, products + at_ends * directions

    def _verdict(self, found, energy, gradient, priced, shown):
        default = 1e-6 if energy.dtype == jnp.float64 else 1e-3
        default = default if self.num_probes is None else 1e-4
        rtol = default if self.rtol is None else self.rtol
        result = RESULTS.where(found.spent, RESULTS.max_steps_reached, RESULTS.stalled)
        result = RESULTS.where(gradient <= rtol, RESULTS.successful, result)
        result = RESULTS.where(priced, result, RESULTS.negative_energy)
        defined = jnp.isfinite(energy) & jnp.all(jnp.isfinite(shown))
        return RESULTS.where(defined, result, RESULTS.non_finite)

    def _probes(self, x, key):
        if self.num_probes is None:
            return None
        if key is None:
            raise ValueError("num_probes draws random vectors: pass key=jax.random.key(seed).")
        return trace_probes(x.shape, self.num_probes, key=key, dtype=x.dtype)

    def _posteriors(self, probes) -> Posteriors:
        return Posteriors(self.score, self.args, probes, self.rule)

    def _range(self, dtype):
        """The times of the lowest and the highest level."""
        top = jnp.where(self.score.schedule.alpha(1.0) < 1e-3, 1 - 1e-3, 1.0)
        return self.t.astype(dtype), top.astype(dtype)

    def _alpha(self, t, dtype):
        return self.score.schedule.alpha(t).astype(dtype)

    def _level(self, t):
        return self.score.schedule.noise_to_signal(t).astype(t.dtype)


def _between(ends, inner):
    return jnp.concatenate([ends[:1], inner, ends[1:]])
