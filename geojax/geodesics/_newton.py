"""Newton's method with the whole Hessian, the solver for metrics of few coordinates."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

from ._certificate import search, where_active
from ._damped_newton import AbstractDampedNewton, leaving
from ._dense_model import DenseModel, Solved, dense_model, dense_sample
from ._iterate import unit_of_energy
from ._rules import Midpoint, SplineGauss

_SEARCH_STEPS = 100


class Newton(AbstractDampedNewton):
    """Newton's method with the whole Hessian of the path's energy.

    It is the default up to 100 coordinates for metrics that are no sum of squares: a
    [`geojax.DenseMetric`][], an [`geojax.OperatorMetric`][], a sum of such.

    In B-splines the Hessian is a band of D x D blocks, three to each side. Its Cholesky factor
    takes O(N D^3) time and O(N D^2) memory. Steps are damped by the metric along the path itself
    (Levenberg-Marquardt), so their number hardly depends on the mesh. A step to a path where the
    metric is not defined or not positive definite is refused. Where the Hessian has no Cholesky
    factor, the squares of covariant derivatives alone replace it (Gauss-Newton).

    At the end the undamped Hessian is factorised too. It has a Cholesky factor only at a strict
    local minimum, which makes the check exact (for metrics that are pulled back, to the order of
    the path). From a saddle, such as the straight line between opposite points of a ring, the
    solver moves on along a direction of negative curvature.

    A step costs, at each point of the rule: an evaluation of the metric with its gradient; the
    metric as a matrix, with a JVP; and D products with the Hessian, each a JVP of a VJP.

    **Arguments:**

    - `rtol`: bound on the Newton decrement `-grad . d / E`, the relative energy that a full step
      would still gain. None: 1e-10 in float64, 1e-6 in float32.
    - `damping`: the initial mu, relative to the metric along the path.

    **Raises:**

    - `ValueError`: for a rule other than [`geojax.SplineGauss`][] and [`geojax.Midpoint`][], or
      options out of range.

    >>> import jax.numpy as jnp, geojax
    >>> half_plane = geojax.DenseMetric(lambda x, args: jnp.eye(2) / x[1] ** 2)
    >>> a, b = jnp.array([0.0, 1.0]), jnp.array([2.0, 1.0])
    >>> solution = geojax.geodesic(half_plane, a, b, solver=geojax.Newton())
    >>> print(f"{solution.length:.6f} for {jnp.arccosh(3.0):.6f}")
    1.762747 for 1.762747
    """

    rtol: float | None = eqx.field(static=True, default=None)
    damping: float = eqx.field(static=True, default=1.0)

    def check_problem(self, problem):
        if not isinstance(problem.rule, SplineGauss | Midpoint):
            raise ValueError(
                f"Newton needs a rule with points at which it takes <x', x'>_g, got "
                f"rule={type(problem.rule).__name__}(). Use rule=SplineGauss()."
            )

    def sample(self, problem, offsets):
        return dense_sample(problem, offsets)

    def model(self, problem, offsets, parts, damping):
        return dense_model(problem, offsets, parts, damping)

    def refine(self, problem, before, state, model: DenseModel, proposal, verdict):
        """At the end Newton's own step, or one that leaves the saddle."""
        del before, verdict
        ended = state.bound <= self.limit(state)
        gradient = model.gradient
        least = float(jnp.finfo(gradient.dtype).eps) ** 0.5
        nothing = Solved(jnp.zeros_like(gradient), jnp.asarray(True), jnp.zeros_like(proposal.gain))
        found = where_active(ended, lambda: model.undamped(least), nothing)
        newton = state._replace(
            step=found.step,
            predicted=found.slope / 2,
            decrement=found.slope / unit_of_energy(state.sample.energy),
            missed_saddle=jnp.zeros_like(state.missed_saddle),
        )
        way_out = search(
            model.hessian,
            model.preconditioner,
            lambda: jax.random.normal(jax.random.key(0), gradient.shape, gradient.dtype),
            gradient,
            active=ended & ~found.positive,
            rtol=least,
            max_steps=_SEARCH_STEPS,
        )
        away = leaving(state, way_out, model, problem)
        unknown = state._replace(decrement=jnp.full_like(state.decrement, jnp.inf))
        pick = lambda where, a, b: jax.tree.map(lambda a, b: jnp.where(where, a, b), a, b)  # noqa: E731
        at_end = pick(found.positive, newton, pick(way_out.negative, away, unknown))
        return pick(ended, at_end, state)

    def output(self, problem, state, evaluated):
        output = super().output(problem, state, evaluated)
        return dataclasses.replace(output, missed_saddle=state.missed_saddle)

    def cost(self, problem, num_segments):
        evaluations, products = problem.gradient_cost(num_segments)
        points = problem.rank * len(problem.rule.scheme.places) * num_segments
        return evaluations + 2 * points, products + points * (2 + 2 * problem.x0.size)
