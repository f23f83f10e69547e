"""Multiple shooting: a root finder closes the gaps between pieces of the geodesic equation.

Shot k is the geodesic from `(x_k, v_k)` over a time T_k. The unknowns are all v_k and all x_k but
the first. The gaps between the end of a shot and the start of the next, and between the last end
and the target, must vanish. The root finder gets the gaps as the correction of the unknowns that
would close them in flat space, which is two running sums. This changes no Newton step. But gaps and
unknowns then have one structure, and the Jacobian is the identity plus the effect of curvature, so
that GMRES needs few products, whatever the dimension.
"""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from .._linalg import matmul, tensordot
from .._options import check_option
from ._checks import check_integrator
from ._exponential import acceleration_cost, accelerations
from ._iterate import AbstractSolver, default_rtol
from ._meters import metered
from ._problem import SolverOutput, TwoPointProblem
from ._results import RESULTS

_MAX_STEPS = 1024  # of the integrations, all shots together
_DENSE_UNTIL = 128  # unknowns


class _Unknowns(NamedTuple):
    """The starts of the shots, in units of |x1 - x0|; the first one starts at x0."""

    xs: Float[Array, "later *shape"]
    vs: Float[Array, "shots *shape"]


class _Shots(NamedTuple):
    """The shots at the requested times."""

    xs: Float[Array, "shots times *shape"]
    vs: Float[Array, "shots times *shape"]
    num_steps: Int[Array, " shots"]


class Shooting(AbstractSolver):
    """Multiple shooting with an optimistix root finder, for any metric.

    Use it for exact nodes from a good start: they are exact to the integrator's tolerance whatever
    `num_segments` is. Energy and length are those of the polyline through them. The last node is
    where the last shot ends, which is x1 up to `rtol`.

    Shooting finds a geodesic, not always the shortest one. One of more energy than the initial path
    is reported as such. Where it fails, start from another solver's path:
    `geodesic(..., init=path)`. A run that diverges returns the initial path.

    `score_evaluations` and `score_products` count the shots, for each step as many as the last one
    took. The derivatives of shots, which the root finder takes, are not counted, so
    `stats["counts_are_lower_bounds"]` is set. With `max_steps=0` the initial path is returned, and
    judged by the gaps between its shots.

    **Arguments:**

    - `shots`: the number of pieces, which divides `num_segments`. One is simple shooting. More
      shots bend the path in more places and tolerate a worse start.
    - `rtol`: bound on the decrement, which is here twice the largest gap relative to |x1 - x0|.
      That is about the relative change of energy from closing it. None: 1e-8 in float64, 1e-4 in
      float32. The integrator's tolerance is a tenth of it.
    - `root_finder`: any optimistix root finder or least-squares solver, with tolerances relative to
      |x1 - x0|. None: `Dogleg` where the Jacobian is a matrix, else `Newton` with GMRES.
    - `dense`: whether to make the Jacobian, a matrix with (2 shots - 1) D rows. None: up to 128
      rows.
    - `integrator`: an explicit Runge-Kutta method of diffrax.

    **Raises:**

    - `ValueError`: when `shots` is below 1 or does not divide `num_segments`, or an option has a
      wrong type.

    >>> import jax.numpy as jnp, geojax
    >>> metric = geojax.SteinScoreMetric(lambda x, args: -x, lam=1.0)
    >>> a, b = jnp.array([1.0, 0.0]), jnp.array([-0.8, 0.6])
    >>> solution = geojax.geodesic(metric, a, b, solver=geojax.Shooting(shots=2))
    >>> bool(jnp.max(jnp.abs(solution.curve.xs[-1] - b)) < 1e-7)
    True
    """

    shots: int = eqx.field(static=True, default=4)
    rtol: float | None = eqx.field(static=True, default=None)
    root_finder: Any = eqx.field(static=True, default=None)
    dense: bool | None = eqx.field(static=True, default=None)
    integrator: diffrax.AbstractERK = eqx.field(static=True, default_factory=diffrax.Tsit5)

    def __check_init__(self):
        if self.shots < 1:
            raise ValueError(f"shots must be at least 1, got {self.shots}.")
        check_integrator(self.integrator, "integrator")
        finders = optx.AbstractRootFinder | optx.AbstractLeastSquaresSolver | None
        wanted = "a root finder of optimistix, such as optimistix.Newton(rtol=1e-8, atol=1e-8)"
        check_option("root_finder", self.root_finder, finders, wanted)

    def solve(self, problem, offsets, max_steps, progress_meter):
        n, xs = len(offsets) - 1, problem.nodes(offsets)
        if n % self.shots:
            raise ValueError(
                f"shots must divide num_segments, got shots={self.shots}, num_segments={n}."
            )
        rtol = default_rtol(xs.dtype) ** 0.8 if self.rtol is None else self.rtol
        size = jnp.linalg.norm(problem.chord.reshape(-1))
        unit = jnp.where(size > 0, size, 1.0)
        every, times = n // self.shots, problem.mesh(n)
        nodes = every * jnp.arange(self.shots)[:, None] + jnp.arange(every + 1)[None, :]

        def shoot(unknowns, between: bool) -> _Shots:
            """All shots, at their last node; with `between` also at the nodes inside."""
            starts = jnp.concatenate([xs[:1], unit * unknowns.xs])
            saved = times[nodes if between else nodes[:, ::every]]
            # The Euclidean norm of the error depends neither on rotation nor on the dimension.
            controller = diffrax.PIDController(0.0, rtol / 10 * unit, norm=optx.two_norm)
            one = lambda x, v, ts: self._integrate(problem, x, v, ts, controller)  # noqa: E731
            return jax.vmap(one)(starts, unit * unknowns.vs, saved)

        # The root finder's algebra is small, so it uses the highest available precision.
        wide = jnp.result_type(float)

        def corrections(unknowns, _):
            unknowns = _cast(unknowns, xs.dtype)
            gaps = _gaps(unknowns, shoot(unknowns, between=False), xs[-1], unit)
            return _cast(_closing_in_flat_space(gaps, jnp.diff(times[::every])), wide)

        rise = jax.vmap(jnp.divide)(jnp.diff(xs, axis=0), jnp.diff(times))
        guess = _Unknowns(xs[every:-1:every] / unit, rise[::every] / unit)
        if max_steps == 0:  # the path is judged as it is, by the gaps of its shots
            found, steps = _cast(guess, wide), jnp.asarray(0)
            result = RESULTS.max_steps_reached
        else:
            found, steps, result = self._root(
                corrections, _cast(guess, wide), rtol, max_steps, progress_meter
            )
        unknowns = _cast(found, xs.dtype)
        shots = shoot(unknowns, between=True)
        path = shots.xs[:, :-1].reshape(n, *xs.shape[1:])
        path = jnp.concatenate([path, shots.xs[-1, -1:]])
        if max_steps == 0:
            path = xs
        gaps = _gaps(unknowns, shots, xs[-1], unit)
        norms = [jnp.linalg.norm(gap.reshape(len(gap), xs[0].size), axis=1) for gap in gaps]
        decrement = 2 * jnp.max(jnp.concatenate(norms))
        # Shots that diverged are no path.
        finite = jnp.all(jnp.isfinite(path))
        # The path keeps its miss of x1.
        moved = (path - problem.line(times)).at[0].set(0.0)
        moved, decrement = jnp.where(finite, moved, offsets), jnp.where(finite, decrement, jnp.inf)
        energy, at_start = problem.energy(moved), problem.energy(offsets)
        closed = decrement <= rtol
        longer = energy > (1 + 32 * jnp.finfo(xs.dtype).eps) * at_start
        result = RESULTS.where(closed, RESULTS.successful, result)
        result = RESULTS.where(closed & longer, RESULTS.not_shortest, result)
        evaluations, products, _ = acceleration_cost(problem.metric)
        taken = (steps + 1) * jnp.sum(accelerations(self.integrator, shots.num_steps))
        counts = taken * evaluations + 2 * problem.energy_cost(n), taken * products
        limits = {"decrement": jnp.asarray(rtol, xs.dtype)}
        done = moved, energy, decrement, result, steps, *counts, limits
        return SolverOutput(*done, counts_are_lower_bounds=True)

    def _root(self, corrections, guess: _Unknowns, rtol: float, max_steps: int, meter):
        """The unknowns, the number of steps, and the verdict in case gaps remain."""
        finder, flat = self.root_finder, ravel_pytree(guess)[0]
        dense = flat.size <= _DENSE_UNTIL if self.dense is None else self.dense
        if finder is None and dense:
            finder = optx.Dogleg(rtol / 10, rtol / 10)
        elif finder is None:
            gmres = lx.GMRES(1e-3, rtol / 100, restart=40, stagnation_iters=40, max_steps=4)
            finder = optx.Newton(rtol / 10, rtol / 10, linear_solver=gmres)
        with jax.numpy_dtype_promotion("standard"):
            found = optx.root_find(
                _with_matrix(corrections) if dense else corrections,
                metered(finder, meter, max_steps),
                guess,
                max_steps=max_steps,
                throw=False,
            )
        out_of_steps = found.result == optx.RESULTS.nonlinear_max_steps_reached
        result = RESULTS.where(out_of_steps, RESULTS.max_steps_reached, RESULTS.not_closed)
        return found.value, jnp.asarray(found.stats["num_steps"]), result

    def _integrate(self, problem: TwoPointProblem, x, v, ts, controller) -> _Shots:
        def field(t, state, args):
            del t
            x, v = state
            return v, problem.metric.acceleration(x, v, args)

        out = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            self.integrator,
            t0=ts[0],
            t1=ts[-1],
            dt0=(ts[-1] - ts[0]) / 10,
            y0=(x, v),
            args=problem.args,
            # The interpolation takes long to compile, so only where there are inner times.
            saveat=diffrax.SaveAt(ts=ts) if len(ts) > 2 else diffrax.SaveAt(t0=True, t1=True),
            stepsize_controller=controller,
            max_steps=max(_MAX_STEPS // self.shots, 64),
            adjoint=diffrax.ForwardMode(),
            throw=False,
        )
        assert out.ys is not None
        reached = out.result == diffrax.RESULTS.successful
        xs, vs = (jnp.where(reached, y, jnp.inf) for y in out.ys)
        return _Shots(xs, vs, out.stats["num_steps"])


def _cast(unknowns: _Unknowns, dtype) -> _Unknowns:
    return _Unknowns(*(part.astype(dtype) for part in unknowns))


def _gaps(unknowns: _Unknowns, shots: _Shots, x1, unit):
    """The jumps of x after each shot, the last one to x1, and those of v between shots."""
    targets = jnp.concatenate([unknowns.xs, x1[None] / unit])
    return shots.xs[:, -1] / unit - targets, shots.vs[:-1, -1] / unit - unknowns.vs[1:]


def _closing_in_flat_space(gaps, durations) -> _Unknowns:
    """The corrections c that, subtracted from the unknowns, close the gaps of straight shots.

    `c_x,k + T_k c_v,k - c_x,k+1` and `c_v,k - c_v,k+1` are the gaps; c_x is zero at both ends.
    """
    jumps_x, jumps_v = gaps
    falls = jnp.concatenate([jnp.zeros_like(jumps_x[:1]), jnp.cumsum(jumps_v, axis=0)])
    total = jnp.sum(durations)
    first = (jnp.sum(jumps_x, axis=0) + tensordot(durations, falls, axes=1)) / total
    vs = first[None] - falls
    moved = jax.vmap(lambda duration, v: duration * v)(durations, vs)
    return _Unknowns(jnp.cumsum(moved - jumps_x, axis=0)[:-1], vs)


def _with_matrix(function):
    """The function with its Jacobian by the unknowns as a matrix, made in forward mode.

    A root finder can transpose a matrix, but not the derivative of an adaptive integration.
    """

    def linearised(unknowns, args):
        flat, restore = ravel_pytree(unknowns)
        point = jax.lax.stop_gradient(flat)
        value, push = jax.linearize(lambda z: ravel_pytree(function(restore(z), args))[0], point)
        matrix = jax.vmap(push, out_axes=1)(jnp.eye(len(point), dtype=point.dtype))
        return restore(value + matmul(jax.lax.stop_gradient(matrix), flat - point))

    return linearised
