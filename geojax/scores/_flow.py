"""Deterministic motion of a point between noise levels: DDIM and the probability-flow ODE.

Both follow the same curve, `dx/dt = alpha'(t) D(x, t) + sigma'(t) e(x, t)` with the denoised point
D and the predicted noise e (Song et al. 2021, "Score-based generative modeling"). So a point noised
by one and denoised by the other comes back. DDIM takes equal steps of first order;
`probability_flow` controls its error.

Two conventions hold at the ends of the time axis, for every schedule. Level 0 is the clean point
itself (alpha = 1, sigma = 0). But a score is only evaluated at times of at least `T_MIN`, where its
factor 1 / sigma is finite and where networks were trained; the last step to 0 is the denoised
point. Where alpha(1) vanishes (the cosine schedule, flow matching), a score is only evaluated at
times of at most 1 - `T_MIN`, where it gives the denoised point. At higher levels the denoised point
is that of 1 - `T_MIN`, and the noise is the remainder.

Single points only: a batch is `jax.vmap(lambda x: ddim(score, x, 0.4, 0.0))(xs)`.
"""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Integer, Real

from .._arrays import takes_arrays
from .._numbers import known, scalar, surely
from ._base import AbstractScore, check_timed
from ._schedule import AbstractSchedule, as_time

T_MIN = 1e-3
_LEAST_ALPHA = 1e-3
_FIRST_STEP = 0.01  # first step of the ODE, which the controller adapts


@takes_arrays("x")
def ddim(
    score: AbstractScore,
    x: Float[Array, "*shape"],
    t_from: Real[ArrayLike, ""],
    t_to: Real[ArrayLike, ""],
    args: Any = None,
    *,
    num_steps: int = 50,
) -> Float[Array, "*shape"]:
    """Move `x` from noise level `t_from` to `t_to` by deterministic DDIM (eta = 0).

    Use it when the number of score evaluations is fixed; [`geojax.probability_flow`][] controls the
    error instead. One step is `x' = alpha' D(x, t) + sigma' e(x, t)`, with the denoised point and
    the noise predicted at the step's start. It is exact when these do not change during the step,
    and of first order in the step otherwise. Times are equally spaced. `t_to < t_from` denoises,
    down to a clean point at `t_to = 0`. `t_to > t_from` is DDIM inversion, which undoes it to first
    order.

    **Arguments:**

    - `score`: any [`geojax.AbstractScore`][].
    - `x`: a point of any one shape at level `t_from`.
    - `t_from`, `t_to`: the two levels in [0, 1].
    - `args`: passed to the score.
    - `num_steps`: the number of steps and of score evaluations.

    **Returns:**

    The point at level `t_to`, of the shape and dtype of `x`.

    **Raises:**

    - `ValueError`: on a level outside [0, 1] or `num_steps < 1`.

    Source: Song, Meng & Ermon 2021, "Denoising diffusion implicit models".

    >>> import jax.numpy as jnp
    >>> from geojax.scores import DataPrediction, VPLinear, ddim
    >>> score = DataPrediction(lambda x, t, args: jnp.ones(2), VPLinear())
    >>> ddim(score, jnp.asarray([3.0, -1.0]), 0.8, 0.0, num_steps=5)
    Array([1., 1.], dtype=...)
    """
    check_timed(score)
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}.")
    times = as_time("t_from", t_from), as_time("t_to", t_to)
    return _ddim(score, x, *times, args, num_steps)


@eqx.filter_jit
def _ddim(score, x, t_from, t_to, args, num_steps):
    ts = jnp.linspace(t_from, t_to, num_steps + 1)

    def step(x, times):
        return _ddim_step(score, x, times[0], times[1], args), None

    x, _ = jax.lax.scan(step, x, (ts[:-1], ts[1:]))
    return x


@takes_arrays("x")
def probability_flow(
    score: AbstractScore,
    x: Float[Array, "*shape"],
    t_from: Real[ArrayLike, ""],
    t_to: Real[ArrayLike, ""],
    args: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    solver: diffrax.AbstractSolver | None = None,
    max_steps: int = 4096,
    throw: bool = True,
) -> Float[Array, "*shape"]:
    """Move `x` from noise level `t_from` to `t_to` along the probability-flow ODE.

    Use it for an invertible map with a controlled error. It is adaptive, in either direction, by
    diffrax. The ODE runs between levels of at least `T_MIN` (and of at most 1 - `T_MIN` where
    alpha(1) vanishes). A DDIM step connects it with the clean point at level 0, or the noise at
    level 1.

    **Arguments:**

    - `score`, `x`, `t_from`, `t_to`, `args`: as for [`geojax.ddim`][].
    - `rtol`, `atol`: the tolerances of one step, in the units of `x` (the default suits images in
      float32).
    - `solver`: by default `diffrax.Tsit5()`.
    - `max_steps`: the largest number of steps of the solver.
    - `throw`: raise when the solve fails.

    **Returns:**

    The point at level `t_to`, of the shape and dtype of `x`. With `throw=False` a point whose solve
    failed is all NaN; other lanes of a batch are not affected.

    **Raises:**

    - `ValueError`: on a level outside [0, 1].
    - diffrax's error: with `throw`, when the steps do not suffice or the score is not finite.

    Source: Song et al. 2021, "Score-based generative modeling through stochastic differential
    equations".

    >>> import jax.numpy as jnp
    >>> from geojax.scores import DataPrediction, VPLinear, probability_flow
    >>> score = DataPrediction(lambda x, t, args: jnp.ones(2), VPLinear())
    >>> probability_flow(score, jnp.asarray([3.0, -1.0]), 0.8, 0.0)
    Array([1., 1.], dtype=...)
    """
    solver = diffrax.Tsit5() if solver is None else solver
    if not isinstance(solver, diffrax.AbstractSolver):
        raise ValueError(
            f"solver must be a solver of diffrax, got {type(solver).__name__}: for example "
            "diffrax.Tsit5()."
        )
    tolerances = rtol, atol, max_steps, throw
    return _flow(score, x, t_from, t_to, args, solver, tolerances)[0]


@takes_arrays("x")
def counted_probability_flow(
    score: AbstractScore,
    x: Float[Array, "*shape"],
    t_from: Real[ArrayLike, ""],
    t_to: Real[ArrayLike, ""],
    args: Any = None,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    max_steps: int = 4096,
    throw: bool = True,
) -> tuple[Float[Array, "*shape"], Integer[Array, ""]]:
    """Move `x` as `probability_flow` does by `diffrax.Tsit5()`, and count score evaluations.

    **Arguments:**

    - as for [`geojax.probability_flow`][], without `solver`.

    **Returns:**

    The point at level `t_to`, and the number of score evaluations, a scalar.

    >>> import jax.numpy as jnp
    >>> from geojax.scores import DataPrediction, VPLinear, counted_probability_flow
    >>> score = DataPrediction(lambda x, t, args: jnp.ones(2), VPLinear())
    >>> x, evaluations = counted_probability_flow(score, jnp.asarray([3.0, -1.0]), 0.8, 0.0)
    >>> x, bool(evaluations > 10)
    (Array([1., 1.], dtype=...), True)
    """
    tolerances = rtol, atol, max_steps, throw
    x, steps, first_steps = _flow(score, x, t_from, t_to, args, diffrax.Tsit5(), tolerances)
    # Six per step, as the last is the first of the next; a step after no accepted one takes a
    # seventh.
    steps_at_ends = sum(not _surely_inside(t, score.schedule) for t in (t_from, t_to))
    return x, 6 * steps + first_steps + steps_at_ends


def _flow(score, x, t_from, t_to, args, solver, tolerances):
    check_timed(score)
    rtol, atol, max_steps, throw = tolerances
    times = as_time("t_from", t_from), as_time("t_to", t_to)
    # As arrays, so that one program serves all tolerances and levels.
    rtol = scalar("rtol", rtol, positive=True).astype(x.dtype)
    atol = scalar("atol", atol).astype(x.dtype)
    inner = diffrax.PIDController(rtol=rtol, atol=atol)
    controller = _FirstStepsCounted(controller=inner)  # pyright: ignore[reportCallIssue]
    ends = tuple(_surely_inside(t, score.schedule) for t in (t_from, t_to))
    return _probability_flow(score, x, times, ends, args, solver, controller, max_steps, throw)


@eqx.filter_jit
def _probability_flow(score, x, times, inside, args, solver, controller, max_steps, throw):
    start, end = (jnp.clip(t, T_MIN, _top(score.schedule)) for t in times)
    if not inside[0]:
        x = _ddim_step(score, x, times[0], start, args)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_velocity),
        solver,
        start.astype(x.dtype),
        end.astype(x.dtype),
        jnp.where(start < end, _FIRST_STEP, -_FIRST_STEP).astype(x.dtype),
        x,
        args=(score, args),
        saveat=diffrax.SaveAt(t1=True, controller_state=True),
        stepsize_controller=controller,
        max_steps=max_steps,
        throw=throw,
    )
    assert solution.ys is not None and solution.controller_state is not None
    x = jnp.where(solution.result == diffrax.RESULTS.successful, solution.ys[-1], jnp.nan)
    if not inside[1]:
        x = _ddim_step(score, x, end, times[1], args)
    _, first_steps, _ = solution.controller_state
    return x, jnp.asarray(solution.stats["num_steps"]), first_steps


class _FirstStepsCounted(diffrax.AbstractAdaptiveStepSizeController):
    """A step size controller that also counts the steps up to the first accepted one.

    Each of these evaluates the first stage, which later steps reuse, and diffrax's `stats` do not
    distinguish them.
    """

    controller: diffrax.AbstractAdaptiveStepSizeController

    @property
    def rtol(self):
        return self.controller.rtol

    @property
    def atol(self):
        return self.controller.atol

    @property
    def norm(self):
        return self.controller.norm

    def wrap(self, direction):
        inner = self.controller.wrap(direction)
        return _FirstStepsCounted(controller=inner)  # pyright: ignore[reportCallIssue]

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        first, state = self.controller.init(terms, t0, t1, y0, dt0, args, func, error_order)
        return first, (state, jnp.asarray(0), jnp.asarray(False))

    def adapt_step_size(
        self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state
    ):
        state, first_steps, accepted = controller_state
        keep, *rest, state, result = self.controller.adapt_step_size(
            t0, t1, y0, y1_candidate, args, y_error, error_order, state
        )
        first_steps = jnp.where(accepted, first_steps, first_steps + 1)
        return keep, *rest, (state, first_steps, accepted | keep), result


def _velocity(t, x, score_and_args):
    score, args = score_and_args
    alpha_rate, sigma_rate = (rate.astype(x.dtype) for rate in score.schedule.rates(t))
    clean, noise = _predict(score, x, t, args)
    return alpha_rate * clean + sigma_rate * noise


def _ddim_step(score, x, t, t_next, args):
    clean, noise = _predict(score, x, t, args)
    alpha, sigma = _level(score.schedule, t_next, x.dtype)
    return alpha * clean + sigma * noise


def _predict(score, x, t, args):
    """The denoised point and the noise of `x`, assumed to be at level `t`."""
    t, top = as_time("t", t), _top(score.schedule)
    noise = score.predicted_noise(x, jnp.clip(t, T_MIN, top), args)
    alpha, sigma = _level(score.schedule, jnp.minimum(t, top), x.dtype)
    clean = (x - sigma * noise) / alpha
    alpha, sigma = _level(score.schedule, t, x.dtype)
    rest = (x - alpha * clean) / jnp.where(t > top, sigma, 1.0)
    return clean, jnp.where(t > top, rest, noise)


def _level(schedule, t, dtype):
    alpha = jnp.where(t > 0, schedule.alpha(t), 1.0)
    # Two wheres, because the derivative of sigma at 0 may be infinite.
    sigma = jnp.where(t > 0, schedule.sigma(jnp.where(t > 0, t, T_MIN)), 0.0)
    return alpha.astype(dtype), sigma.astype(dtype)


def _top(schedule: AbstractSchedule):
    """The highest time at which a score gives the denoised point."""
    return jnp.where(schedule.alpha(1.0) < _LEAST_ALPHA, 1 - T_MIN, 1.0)


def _surely_inside(t, schedule: AbstractSchedule) -> bool:
    """Whether `t` is known to be at least `T_MIN` and at most the highest time, `_top`."""
    value = known(t)
    if value is None or value < T_MIN:
        return False
    return value <= 1 - T_MIN or surely(lambda: schedule.alpha(1.0) >= _LEAST_ALPHA)
