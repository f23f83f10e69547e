"""Noise schedules: the relation between time and noise level.

One convention holds in the whole library: `x_t = alpha(t) x_0 + sigma(t) eps` with `eps ~ N(0, I)`
and `t` continuous in [0, 1]. Step k of a discrete schedule of T steps (numbered 1 ... T as in the
DDPM paper, so that step 0 is clean) is `t = k / T`.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from .._arrays import takes_arrays
from .._numbers import known, number, surely


class AbstractSchedule(eqx.Module):
    """The interface of noise schedules: from a time in [0, 1] to a noise level.

    Subclasses define `alpha` and `sigma`, smooth in `t`; the rest follows. A time that is a number
    outside [0, 1] is a `ValueError`: convert a step k of T of other libraries to k / T.

    The numbers of a schedule belong to the model that was trained with it. They are static: they
    are never trained, and another schedule needs another compilation.
    """

    @abc.abstractmethod
    def alpha(self, t: Real[ArrayLike, ""]) -> Float[Array, ""]:
        """The factor of the clean point: scalar in, scalar out."""

    @abc.abstractmethod
    def sigma(self, t: Real[ArrayLike, ""]) -> Float[Array, ""]:
        """The standard deviation of the noise: scalar in, scalar out."""

    def noise_to_signal(self, t: Real[ArrayLike, ""]) -> Float[Array, ""]:
        """sigma / alpha, the noise level in units of the data; infinite where alpha is 0."""
        t = as_time("t", t)
        return self.sigma(t) / self.alpha(t)

    def rates(self, t: Real[ArrayLike, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The time derivatives (alpha', sigma'), by forward differentiation."""
        t = as_time("t", t)
        one = jnp.ones_like(t)
        _, alpha_rate = jax.jvp(self.alpha, (t,), (one,))
        _, sigma_rate = jax.jvp(self.sigma, (t,), (one,))
        return alpha_rate, sigma_rate

    @takes_arrays("x0", "eps")
    def add_noise(
        self,
        x0: Float[Array, "*shape"],
        eps: Float[Array, "*shape"],
        t: Real[ArrayLike, ""],
    ) -> Float[Array, "*shape"]:
        """`alpha(t) x0 + sigma(t) eps`, in the wider of the two dtypes."""
        t = as_time("t", t)
        return self.alpha(t).astype(x0.dtype) * x0 + self.sigma(t).astype(x0.dtype) * eps


def as_time(name: str, t: Real[ArrayLike, ""]) -> Float[Array, ""]:
    """`t` as a scalar array of the default floating dtype.

    Raise a `ValueError` when it is not a scalar, or a number outside [0, 1]. A traced value is not
    checked.
    """
    value = known(t)
    if value is not None and not 0 <= value <= 1:
        raise ValueError(
            f"{name} must lie in [0, 1], got {t}. Step k of T is t = k / T: step 400 of 1000 is "
            "t = 0.4."
        )
    return number(name, t)


def is_noise_free(schedule: AbstractSchedule, t: Real[ArrayLike, ""]) -> bool:
    """Whether `t` is known to be 0 and sigma is zero there.

    False where t or the schedule is traced: a value unknown at tracing is not an error.
    """
    return known(t) == 0 and surely(lambda: schedule.sigma(0.0) == 0)


def check_signal(schedule: AbstractSchedule, t: Real[ArrayLike, ""], reason: str) -> None:
    """Raise a `ValueError` when `t` is known and alpha vanishes there, to rounding.

    `reason` explains why a signal is needed. Traced values are not checked.
    """
    if known(t) is not None and surely(lambda: schedule.alpha(t) < 1e-7 * schedule.sigma(t)):
        raise ValueError(
            f"t = {t} is pure noise (alpha is 0 there), and {reason}. Take t < 1, for example 0.99."
        )


def _power_sums(k: Array, y_low: float, slope: float, power: int) -> Array:
    """`sum_{j<k} log(1 - beta_j)` for `beta_j = (y_low + slope j)^power`, smooth in k.

    log(1 - beta) is expanded in powers of beta. Each sum of powers is its midpoint integral (an
    exact antiderivative, written without cancellation so that float32 keeps its digits) plus the
    first Euler-Maclaurin correction. For the schedules in use it meets the discrete product to
    1e-9.
    """
    low, high = y_low - slope / 2, y_low + slope * (k - 0.5)
    sums = [jnp.ones_like(k)]  # sums[n] is the sum of high^i low^(n-i): a difference quotient
    for n in range(1, 6 * power + 1):
        sums.append(sums[-1] * high + low**n)
    total = jnp.zeros_like(k)
    for m in range(1, 7):
        n = power * m
        correction = n * slope**2 / 24 * sums[n - 2] if n > 1 else 0.0
        # A factor of k throughout, so that the total is exactly zero at k = 0.
        total = total - k * (sums[n] / (n + 1) - correction) / m
    return total


class _DiscreteVP(AbstractSchedule):
    """alpha^2 is the product of (1 - beta_j) over the first `t T` steps."""

    num_steps: eqx.AbstractVar[int]
    beta_start: eqx.AbstractVar[float]
    beta_end: eqx.AbstractVar[float]

    @abc.abstractmethod
    def log_alpha_bar(self, t: Real[ArrayLike, ""]) -> Float[Array, ""]:
        """log alpha(t)^2."""

    def alpha(self, t):
        return jnp.exp(self.log_alpha_bar(t) / 2)

    def sigma(self, t):
        return jnp.sqrt(-jnp.expm1(self.log_alpha_bar(t)))


def _check_betas(num_steps: int, beta_start: float, beta_end: float) -> None:
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}.")
    if not 0 < beta_start <= beta_end < 0.3:
        raise ValueError(
            "beta_start and beta_end must satisfy 0 < beta_start <= beta_end < 0.3, got "
            f"{beta_start} and {beta_end}. DDPM uses 1e-4 and 0.02."
        )


class VPLinear(_DiscreteVP):
    """The variance-preserving schedule with beta linear in the step (Ho et al. 2020, DDPM).

    `alpha(k / T)^2` equals the discrete product over the first k steps to 1e-9; between the steps
    it is smooth.

    **Arguments:**

    - `num_steps`: T, the number of steps of the discrete schedule.
    - `beta_start`, `beta_end`: the first and the last beta.

    **Raises:**

    - `ValueError`: unless `num_steps >= 1` and `0 < beta_start <= beta_end < 0.3`.

    >>> from geojax.scores import VPLinear
    >>> round(float(VPLinear().noise_to_signal(0.4)), 2)
    2.03
    """

    num_steps: int = eqx.field(static=True, default=1000)
    beta_start: float = eqx.field(static=True, default=1e-4)
    beta_end: float = eqx.field(static=True, default=2e-2)

    def __check_init__(self):
        _check_betas(self.num_steps, self.beta_start, self.beta_end)

    def log_alpha_bar(self, t):
        k = as_time("t", t) * self.num_steps
        slope = (self.beta_end - self.beta_start) / max(self.num_steps - 1, 1)
        return _power_sums(k, self.beta_start, slope, 1)


class ScaledLinear(_DiscreteVP):
    """The variance-preserving schedule with sqrt(beta) linear in the step (Stable Diffusion).

    `alpha(k / T)^2` equals Stable Diffusion's `alphas_cumprod[k - 1]` to 1e-9.

    **Arguments:**

    - `num_steps`: T, the number of steps of the discrete schedule.
    - `beta_start`, `beta_end`: the first and the last beta.

    **Raises:**

    - `ValueError`: unless `num_steps >= 1` and `0 < beta_start <= beta_end < 0.3`.

    >>> from geojax.scores import ScaledLinear
    >>> round(float(ScaledLinear().noise_to_signal(0.4)), 2)
    1.16
    """

    num_steps: int = eqx.field(static=True, default=1000)
    beta_start: float = eqx.field(static=True, default=0.00085)
    beta_end: float = eqx.field(static=True, default=0.012)

    def __check_init__(self):
        _check_betas(self.num_steps, self.beta_start, self.beta_end)

    def log_alpha_bar(self, t):
        k = as_time("t", t) * self.num_steps
        low, high = math.sqrt(self.beta_start), math.sqrt(self.beta_end)
        return _power_sums(k, low, (high - low) / max(self.num_steps - 1, 1), 2)


class VPCosine(AbstractSchedule):
    """The variance-preserving schedule with alpha a quarter cosine (Nichol & Dhariwal 2021).

    **Arguments:**

    - `offset`: shifts the cosine at t = 0.

    >>> from geojax.scores import VPCosine
    >>> round(float(VPCosine().noise_to_signal(0.4)), 2)
    0.74
    """

    offset: float = eqx.field(static=True, default=0.008)

    def alpha(self, t):
        t = as_time("t", t)
        quarter = math.pi / 2 / (1 + self.offset)
        return jnp.cos(quarter * (t + self.offset)) / math.cos(quarter * self.offset)

    def sigma(self, t):
        # 1 - alpha^2 by the addition theorem, so that nothing cancels at small t.
        t = as_time("t", t)
        quarter = math.pi / 2 / (1 + self.offset)
        rise = jnp.sin(quarter * t) * jnp.sin(quarter * (t + 2 * self.offset))
        return jnp.sqrt(rise) / math.cos(quarter * self.offset)


class VE(AbstractSchedule):
    """The variance-exploding schedule: alpha = 1, sigma geometric (Song et al.).

    **Arguments:**

    - `sigma_min`, `sigma_max`: sigma at t = 0 and t = 1.

    **Raises:**

    - `ValueError`: unless `0 < sigma_min < sigma_max`.

    >>> from geojax.scores import VE
    >>> round(float(VE(0.01, 100.0).sigma(0.5)), 2)
    1.0
    """

    sigma_min: float = eqx.field(static=True, default=0.01)
    sigma_max: float = eqx.field(static=True, default=50.0)

    def __check_init__(self):
        _check_sigmas(self.sigma_min, self.sigma_max)

    def alpha(self, t):
        return jnp.ones_like(as_time("t", t))

    def sigma(self, t):
        t = as_time("t", t)
        return self.sigma_min * jnp.exp(t * math.log(self.sigma_max / self.sigma_min))


class EDM(AbstractSchedule):
    """The schedule with alpha = 1 and sigma^(1/rho) linear in t (Karras et al. 2022).

    **Arguments:**

    - `sigma_min`, `sigma_max`: sigma at t = 0 and t = 1.
    - `rho`: the exponent.

    **Raises:**

    - `ValueError`: unless `0 < sigma_min < sigma_max`.

    >>> from geojax.scores import EDM
    >>> round(float(EDM().sigma(0.5)), 2)
    2.52
    """

    sigma_min: float = eqx.field(static=True, default=0.002)
    sigma_max: float = eqx.field(static=True, default=80.0)
    rho: float = eqx.field(static=True, default=7.0)

    def __check_init__(self):
        _check_sigmas(self.sigma_min, self.sigma_max)

    def alpha(self, t):
        return jnp.ones_like(as_time("t", t))

    def sigma(self, t):
        t = as_time("t", t)
        low, high = self.sigma_min ** (1 / self.rho), self.sigma_max ** (1 / self.rho)
        return (low + t * (high - low)) ** self.rho


class RectifiedFlow(AbstractSchedule):
    """The straight line from data to noise, alpha = 1 - t and sigma = t: flow matching.

    It is the interpolation of rectified flows (Liu et al. 2023), of flow matching with an optimal
    transport path (Lipman et al. 2023), of Stable Diffusion 3 and of Flux. The time of geojax runs
    from data at 0 to noise at 1, as theirs does. Where a model's time runs from noise to data, its
    time is 1 - t. Level 1 is pure noise: no point without noise can be computed from it.

    >>> from geojax.scores import RectifiedFlow
    >>> round(float(RectifiedFlow().noise_to_signal(0.4)), 2)
    0.67
    """

    def alpha(self, t):
        return 1 - as_time("t", t)

    def sigma(self, t):
        return as_time("t", t)


def _check_sigmas(sigma_min: float, sigma_max: float) -> None:
    if not 0 < sigma_min < sigma_max:
        raise ValueError(
            f"sigma_min and sigma_max must satisfy 0 < sigma_min < sigma_max, got {sigma_min} "
            f"and {sigma_max}."
        )


SCHEDULES = {
    "vp_linear": VPLinear,
    "vp_cosine": VPCosine,
    "scaled_linear": ScaledLinear,
    "ve": VE,
    "edm": EDM,
    "rectified_flow": RectifiedFlow,
}
