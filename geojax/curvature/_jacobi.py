"""Jacobi fields: how a geodesic moves when its start moves. The derivative of exp."""

from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._arrays import takes_arrays
from .._functions import explained_derivatives
from .._linalg import unit_of
from .._options import check_option
from .._verdicts import AbstractSolution, Verdicts, or_raise
from ..geodesics import RESULTS, GeodesicSolution
from ..metrics import AbstractMetric

_FIRST_STEP = 0.01  # of 1; the controller adapts it


class JacobiField(AbstractSolution):
    """A Jacobi field along a geodesic on [0, 1], and the verdict.

    **Arguments:**

    - `ts`: shape `(num_segments + 1,)`.
    - `xs`, `vs`: the geodesic and its velocity at these times, shape `(num_segments + 1, *shape)`.
    - `fields`, `derivatives`: J and its covariant derivative DJ/dt there, of that shape.
    - `result`: a member of `RESULTS`.
    - `stats`: `num_steps`; `energy_drift`, the largest relative deviation of g(x', x') from its
      initial value; `gauss_defect`, the same for <J, x'>_g from its exact value, which is linear in
      t (Gauss's lemma): `<J(0), x'>_g + t <DJ/dt(0), x'>_g`.
    - `limits`: the limits of these figures, by the names of `stats`.
    """

    ts: Float[Array, " nodes"]
    xs: Float[Array, "nodes *shape"]
    vs: Float[Array, "nodes *shape"]
    fields: Float[Array, "nodes *shape"]
    derivatives: Float[Array, "nodes *shape"]
    result: RESULTS
    stats: dict[str, Any]
    limits: dict[str, Any] = eqx.field(default_factory=dict)
    verdicts: ClassVar[Verdicts] = GeodesicSolution.verdicts
    noun: ClassVar[str] = "Jacobi field"

    def figures(self) -> dict[str, Any]:
        figures = super().figures()
        drifts = [np.asarray(self.stats[name]) for name in ("energy_drift", "gauss_defect")]
        return figures | {"energy_drift": np.maximum(*drifts)}


@explained_derivatives()
@takes_arrays("x0", "v0", "field", "derivative")
def jacobi_field(
    metric: AbstractMetric,
    x0: Float[Array, "*shape"],
    v0: Float[Array, "*shape"],
    field: Float[Array, "*shape"],
    derivative: Float[Array, "*shape"],
    args: Any = None,
    *,
    num_segments: int = 32,
    solver: diffrax.AbstractERK | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    max_steps: int = 4096,
    drift_tolerance: float = 1e-2,
    adjoint: diffrax.AbstractAdjoint | None = None,
    throw: bool = True,
) -> JacobiField:
    """The solution of `D^2 J / dt^2 = -R(J, x') x'` along the geodesic from `x0` by `v0`.

    It is the variation of a family of geodesics and is computed as such: the geodesic equation and
    its linearisation by one JVP are integrated together. No curvature tensor is formed.

    **Arguments:**

    - `metric`: any geojax metric.
    - `x0`, `v0`: start and initial velocity, as for [`geojax.exponential_map`][].
    - `field`, `derivative`: J and its covariant derivative DJ/dt at t = 0, of the shape of `x0`.
    - `args`: passed to the score.
    - `num_segments`: the number of segments of [0, 1] between the reported times.
    - `solver`, `rtol`, `atol`, `max_steps`: as for `exponential_map`. J is integrated in units of
      the larger of `field` and `derivative`, so its size does not matter.
    - `drift_tolerance`: bound on `energy_drift` and `gauss_defect`.
    - `adjoint`: how diffrax differentiates through the integration; default reverse mode.
    - `throw`: raise when the integration did not succeed.

    **Returns:**

    A [`geojax.JacobiField`][].

    **Raises:**

    - `ValueError`: on mismatched shapes or dtypes.
    - a run-time error with the remedy: when the integration did not succeed and `throw` is True.

    >>> import jax.numpy as jnp, geojax
    >>> x0, v0, up = jnp.zeros(2), jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])
    >>> flat = geojax.jacobi_field(geojax.Euclidean(), x0, v0, 0 * up, up, num_segments=2)
    >>> flat.fields[:, 1].round(6).tolist()  # grows linearly where there is no curvature
    [0.0, 0.5, 1.0]
    """
    if num_segments < 1:
        raise ValueError(f"num_segments must be at least 1, got {num_segments}.")
    default = 1e-8 if x0.dtype == jnp.float64 else 1e-5
    controller = diffrax.PIDController(rtol=rtol or default, atol=atol or default)
    solver = diffrax.Tsit5() if solver is None else solver
    wanted = "an explicit Runge-Kutta method of diffrax, such as diffrax.Tsit5()"
    check_option("solver", solver, diffrax.AbstractERK, wanted)
    adjoint = diffrax.RecursiveCheckpointAdjoint() if adjoint is None else adjoint
    solution = _integrate(
        metric, x0, v0, field, derivative, args, num_segments, solver, controller, max_steps,
        adjoint, drift_tolerance,
    )  # fmt: skip
    return or_raise(solution) if throw else solution


@eqx.filter_jit
def _integrate(
    metric, x0, v0, field, derivative, args, num_segments, solver, controller, max_steps, adjoint,
    drift_tolerance,
) -> JacobiField:  # fmt: skip
    def rate(t, state, args):
        del t

        def at(moved, v):
            return v, metric.acceleration(x0 + unit * moved, unit * v, args) / unit

        motion, variation = jax.jvp(at, state[:2], state[2:])
        return *motion, *variation

    # The state contains the variation of the coordinates of x', which is not a vector. Positions
    # are displacements. Displacements and J have a unit of length each.
    variation = derivative - metric.christoffel(x0, v0, field, args)
    unit, size = unit_of(v0), unit_of(jnp.stack([field, variation]))
    ts = jnp.linspace(0, 1, num_segments + 1, dtype=x0.dtype)
    state = jnp.zeros_like(x0), v0 / unit, field / size, variation / size
    out = diffrax.diffeqsolve(
        diffrax.ODETerm(rate),
        solver,
        t0=0.0,
        t1=1.0,
        dt0=_FIRST_STEP,
        y0=state,
        args=args,
        saveat=diffrax.SaveAt(ts=ts),
        stepsize_controller=controller,
        max_steps=max_steps,
        adjoint=adjoint,
        throw=False,
    )
    assert out.ys is not None
    moved, vs, fields, variations = out.ys
    xs, vs, fields, variations = (
        x0[None] + unit * moved,
        unit * vs,
        size * fields,
        size * variations,
    )
    covariant = lambda x, v, j, dv: dv + metric.christoffel(x, v, j, args)  # noqa: E731
    derivatives = jax.vmap(covariant)(xs, vs, fields, variations)
    inner = jax.vmap(lambda x, u, v: metric.inner(x, u, v, args))
    squared, along = inner(xs, vs, vs), inner(xs, fields, vs)
    sizes = inner(xs, fields, fields) + inner(xs, derivatives, derivatives)
    energy_drift = _relative(squared - squared[0], squared[0])
    exact = along[0] + ts * metric.inner(x0, derivative, v0, args)
    gauss_defect = _relative(along - exact, jnp.sqrt(jnp.max(sizes) * squared[0]))
    within = jnp.maximum(energy_drift, gauss_defect) <= drift_tolerance
    result = RESULTS.where(within, RESULTS.successful, RESULTS.energy_drift)
    ended = out.result == diffrax.RESULTS.successful
    result = RESULTS.where(ended, result, RESULTS.integration_stopped)
    start = jax.tree.leaves((rate(0.0, state, args), squared[0]))
    defined = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in start]))
    result = RESULTS.where(defined, result, RESULTS.non_finite)
    stats = {
        "num_steps": out.stats["num_steps"],
        "energy_drift": energy_drift,
        "gauss_defect": gauss_defect,
    }
    limit = jnp.asarray(drift_tolerance, x0.dtype)
    limits = {
        "num_steps": jnp.asarray(max_steps),
        "energy_drift": limit,
        "gauss_defect": limit,
    }
    return JacobiField(
        ts=ts,
        xs=xs,
        vs=vs,
        fields=fields,
        derivatives=derivatives,
        result=result,
        stats=stats,
        limits=limits,
    )


def _relative(deviation: Array, size: Array) -> Array:
    return jnp.max(jnp.abs(deviation)) / jnp.where(size > 0, size, 1.0)


@explained_derivatives()
@takes_arrays("x0", "v0", "w")
def exponential_derivative(
    metric: AbstractMetric,
    x0: Float[Array, "*shape"],
    v0: Float[Array, "*shape"],
    w: Float[Array, "*shape"],
    args: Any = None,
    *,
    solver: diffrax.AbstractERK | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    max_steps: int = 4096,
    drift_tolerance: float = 1e-2,
    adjoint: diffrax.AbstractAdjoint | None = None,
    throw: bool = True,
) -> Float[Array, "*shape"]:
    """The derivative of `v -> exp_x0(v)` at `v0` in the direction `w`, a vector at `exp_x0(v0)`.

    It is the end J(1) of the Jacobi field with J(0) = 0 and DJ/dt(0) = w. If it maps some w to
    zero, exp_x0(v0) is conjugate to x0: beyond it the geodesic is no longer the shortest.

    **Arguments:**

    - `metric`: any geojax metric.
    - `x0`, `v0`: start and initial velocity.
    - `w`: the direction, of the shape of `v0`.
    - `args`: passed to the score.
    - `solver`, `rtol`, `atol`, `max_steps`, `drift_tolerance`, `adjoint`, `throw`: as for
      [`geojax.jacobi_field`][].

    **Returns:**

    An array of the shape of `x0`. With `throw=False` a failure gives NaNs.

    **Raises:**

    As `jacobi_field`.

    >>> import jax.numpy as jnp, geojax
    >>> sphere = geojax.metrics.StereographicSphere()  # from the pole exp(v) = tan(|v|) v / |v|
    >>> v0, w = jnp.array([jnp.pi / 4, 0.0]), jnp.array([0.0, 1.0])
    >>> geojax.exponential_derivative(sphere, jnp.zeros(2), v0, w).round(4).tolist()  # 4 / pi
    [0.0, 1.2732]
    """
    solution = jacobi_field(
        metric,
        x0,
        v0,
        jnp.zeros_like(x0),
        w,
        args,
        num_segments=1,
        solver=solver,
        rtol=rtol,
        atol=atol,
        max_steps=max_steps,
        drift_tolerance=drift_tolerance,
        adjoint=adjoint,
        throw=throw,
    )
    good = solution.result == RESULTS.successful
    return jnp.where(good, solution.fields[-1], jnp.nan)
