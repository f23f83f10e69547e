"""Parallel transport along a curve."""

import abc
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._arrays import Numbers, as_floating, takes_arrays
from .._functions import explained_derivatives
from .._linalg import safe_sqrt
from .._options import check_option
from .._verdicts import AbstractSolution, Verdicts, or_raise
from ..geodesics import RESULTS, GeodesicSolution, Polyline
from ..metrics import AbstractMetric

_TIMES = 33  # reported times of a curve without nodes


class TransportSolution(AbstractSolution):
    """A vector carried along a curve by parallel transport, and the verdict.

    **Arguments:**

    - `ts`: the reported times, shape `(nodes,)`.
    - `xs`: the curve at these times, shape `(nodes, *shape)`.
    - `vectors`: the parallel vectors there, shape `(nodes, *shape)`; `vector` is the last one.
    - `result`: a member of `RESULTS`.
    - `stats`: `norm_drift`, the largest relative deviation of the vector's length in the metric,
      which transport preserves; `num_steps`; for [`geojax.PoleLadder`][] also `log_miss`.
    - `limits`: the limit of `norm_drift`.
    """

    ts: Float[Array, " nodes"]
    xs: Float[Array, "nodes *shape"]
    vectors: Float[Array, "nodes *shape"]
    result: RESULTS
    stats: dict[str, Any]
    limits: dict[str, Any] = eqx.field(default_factory=dict)
    verdicts: ClassVar[Verdicts] = GeodesicSolution.verdicts
    noun: ClassVar[str] = "parallel transport"

    @property
    def vector(self) -> Float[Array, "*shape"]:
        """The vector at the end of the curve."""
        return self.vectors[-1]


class AbstractTransport(eqx.Module):
    """A method that carries a vector along a curve."""

    @abc.abstractmethod
    def carry(
        self,
        metric: AbstractMetric,
        curve: diffrax.AbstractPath,
        ts: Float[Array, " nodes"],
        v0: Float[Array, "*shape"],
        args: Any,
    ) -> tuple[Float[Array, "nodes *shape"], RESULTS, dict[str, Any]]:
        """The vectors at `ts`, the verdict, and figures."""


class TransportODE(AbstractTransport):
    """Parallel transport by its definition `v' = -Gamma(x', v)`, integrated adaptively by diffrax.

    Along a polyline the integration restarts at every node, where x' jumps.

    **Arguments:**

    - `solver`: an explicit Runge-Kutta method of diffrax.
    - `rtol`, `atol`: default 1e-8 in float64, 1e-5 in float32, relative to the entries of v.
    - `max_steps`: integration steps at most.
    - `adjoint`: how diffrax differentiates through the integration; for forward mode use
      `diffrax.ForwardMode()`.

    >>> from geojax.curvature import TransportODE
    >>> TransportODE(rtol=1e-10).max_steps
    4096
    """

    solver: diffrax.AbstractERK = eqx.field(default_factory=diffrax.Tsit5)
    rtol: float | None = None
    atol: float | None = None
    max_steps: int = 4096
    adjoint: diffrax.AbstractAdjoint = eqx.field(default_factory=diffrax.RecursiveCheckpointAdjoint)

    def __check_init__(self):
        wanted = "an explicit Runge-Kutta method of diffrax, such as diffrax.Tsit5()"
        check_option("solver", self.solver, diffrax.AbstractERK, wanted)

    def carry(self, metric, curve, ts, v0, args):
        velocity = getattr(curve, "velocity", curve.derivative)

        def field(t, v, args):
            return -metric.christoffel(curve.evaluate(t), velocity(t), v, args)

        default = 1e-8 if v0.dtype == jnp.float64 else 1e-5
        controller = diffrax.PIDController(rtol=self.rtol or default, atol=self.atol or default)
        if isinstance(curve, Polyline) and len(curve.ts) > 2:
            controller = diffrax.ClipStepSizeController(controller, jump_ts=curve.ts[1:-1])
        size = jnp.max(jnp.abs(v0))  # transport is linear in v, so atol becomes relative too
        unit = jnp.where(size > 0, size, 1.0)
        out = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            self.solver,
            t0=ts[0],
            t1=ts[-1],
            dt0=(ts[-1] - ts[0]) / 100,
            y0=v0 / unit,
            args=args,
            saveat=diffrax.SaveAt(ts=ts),
            stepsize_controller=controller,
            adjoint=self.adjoint,
            max_steps=self.max_steps,
            throw=False,
        )
        assert out.ys is not None
        ended = out.result == diffrax.RESULTS.successful
        result = RESULTS.where(ended, RESULTS.successful, RESULTS.integration_stopped)
        return (unit * out.ys).at[0].set(v0), result, {"num_steps": out.stats["num_steps"]}


@explained_derivatives()
@takes_arrays("v0")
def parallel_transport(
    metric: AbstractMetric,
    curve: Any,
    v0: Float[Array, "*shape"],
    args: Any = None,
    *,
    method: AbstractTransport | None = None,
    ts: Numbers | None = None,
    drift_tolerance: float = 1e-3,
    throw: bool = True,
) -> TransportSolution:
    """Carry the vector `v0` along a curve by parallel transport.

    It preserves lengths and angles in the metric, and carries the initial velocity of a geodesic to
    its final velocity. Around a loop a vector comes back rotated: the holonomy, on a surface the
    integral of the curvature over the inside of the loop.

    **Arguments:**

    - `metric`: any geojax metric.
    - `curve`: a solution of [`geojax.geodesic`][] or [`geojax.exponential_map`][], or any diffrax
      path, such as a loop. The nodes of a two-point solution make a polyline. Transport along it is
      exact and differs from that along the smooth geodesic by O(1 / num_segments^2).
    - `v0`: a vector at the start of the curve, of the shape of a point.
    - `args`: passed to the score.
    - `method`: [`geojax.TransportODE`][] (default) or [`geojax.PoleLadder`][].
    - `ts`: times at which the vectors are reported. The first and the last are the start and the
      end; they may run backwards. Default: the nodes of the curve, or 33 equally spaced times.
    - `drift_tolerance`: bound on the relative drift of the vector's length.
    - `throw`: raise when the transport did not succeed.

    **Returns:**

    A [`geojax.TransportSolution`][]; its `vector` is the one at the end. The verdict on a solution
    that did not succeed is also the verdict on a transport along it.

    **Raises:**

    - `ValueError`: when `v0` does not have the shape of the points of the curve.
    - a run-time error with the remedy: when the transport did not succeed and `throw` is True.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x)
    >>> solution = geojax.exponential_map(metric, jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
    >>> carried = geojax.parallel_transport(metric, solution, solution.initial_velocity)
    >>> bool(jnp.allclose(carried.vector, solution.final_velocity, atol=1e-5))
    True
    """
    path = curve.curve if isinstance(curve, GeodesicSolution) else curve
    if not isinstance(path, diffrax.AbstractPath):
        raise ValueError(
            f"curve must be a GeodesicSolution or a diffrax path, got {type(curve).__name__}. "
            "For nodes xs at times ts: geojax.geodesics.Polyline(ts, xs)."
        )
    point = jax.eval_shape(path.evaluate, path.t0)
    v0 = v0.astype(point.dtype)
    if point.shape != v0.shape:
        raise ValueError(
            f"v0 must be a vector like the curve's points, of shape {point.shape}, got shape "
            f"{v0.shape}."
        )
    if ts is None:
        ts = getattr(path, "ts", None)
    ts = jnp.linspace(path.t0, path.t1, _TIMES, dtype=v0.dtype) if ts is None else ts
    ts = as_floating("ts", ts, "nodes", dtype=v0.dtype)
    if len(ts) < 2:
        raise ValueError(f"ts must hold at least two times, got {len(ts)}.")
    method = TransportODE() if method is None else method
    check_option("method", method, AbstractTransport, "a geojax transport, such as TransportODE()")
    solution = _transport(metric, path, ts, v0, args, method, drift_tolerance)
    if isinstance(curve, GeodesicSolution):
        good = curve.result == RESULTS.successful
        verdict = RESULTS.where(good, solution.result, curve.result)
        solution = eqx.tree_at(lambda s: s.result, solution, verdict)
    if not throw:
        return solution
    if isinstance(curve, GeodesicSolution):
        or_raise(curve, ts)
    return or_raise(solution)


@eqx.filter_jit
def _transport(metric, curve, ts, v0, args, method, drift_tolerance) -> TransportSolution:
    vectors, result, stats = method.carry(metric, curve, ts, v0, args)
    xs = jax.vmap(curve.evaluate)(ts)
    squared = jax.vmap(lambda x, v: metric.inner(x, v, v, args))(xs, vectors)
    norms = safe_sqrt(squared)
    drift = jnp.max(jnp.abs(norms - norms[0])) / jnp.where(norms[0] > 0, norms[0], 1.0)
    small = drift <= drift_tolerance
    result = RESULTS.where((result == RESULTS.successful) & ~small, RESULTS.transport_drift, result)
    defined = jnp.isfinite(squared[0]) & jnp.all(jnp.isfinite(xs))
    result = RESULTS.where(defined, result, RESULTS.non_finite)
    return TransportSolution(
        ts=ts,
        xs=xs,
        vectors=vectors,
        result=result,
        stats={"norm_drift": drift, **stats},
        limits={"norm_drift": jnp.asarray(drift_tolerance, drift.dtype)},
    )
