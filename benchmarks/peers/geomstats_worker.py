"""geomstats: path straightening, that is L-BFGS on the left-end energy of a dense metric."""

import os

os.environ["GEOMSTATS_BACKEND"] = "autograd"

import autograd.numpy as anp
import geomstats
import geomstats.backend as gs
import numpy as np
import scipy
from geomstats.geometry.euclidean import Euclidean
from geomstats.geometry.riemannian_metric import RiemannianMetric
from geomstats.numerics.geodesic import PathStraightening
from geomstats.numerics.optimization import ScipyMinimize
from recording import Recorder, main, ring_score


class SteinMetric(RiemannianMetric):
    """I + lam s s^T, as the D x D matrices that geomstats needs."""

    def __init__(self, space, problem, recorder: Recorder):
        super().__init__(space)
        self.problem, self.recorder = problem, recorder

    def metric_matrix(self, base_point=None):
        flat = gs.reshape(base_point, (-1, base_point.shape[-1]))
        self.recorder.evaluations += len(flat)
        s = ring_score(flat, self.problem, anp)
        matrices = anp.eye(s.shape[-1]) + self.problem["lam"] * s[:, :, None] * s[:, None, :]
        return gs.reshape(matrices, base_point.shape + base_point.shape[-1:])


def solve(problem, recorder: Recorder) -> str:
    """The library's own solver; only the tolerances and the limits of L-BFGS are set."""
    d, n = len(problem["x0"]), int(problem["num_segments"])
    space = Euclidean(dim=d, equip=False)
    space.equip_with_metric(SteinMetric, problem=problem, recorder=recorder)
    ends = problem["x0"][None], problem["x1"][None]

    def record(inner, last=False):
        path = lambda: np.concatenate([ends[0], inner.reshape(n - 1, d), ends[1]])  # noqa: E731
        recorder.record(path, last)

    options = {"maxiter": 100_000, "maxfun": 100_000, "ftol": 1e-14, "gtol": 1e-9}
    optimiser = ScipyMinimize(
        "L-BFGS-B", autodiff_jac=True, callback=record, options=options, save_result=True
    )
    solver = PathStraightening(space, n_nodes=n + 1, optimizer=optimiser)
    solver.discrete_geodesic_bvp(problem["x1"], problem["x0"])
    record(np.asarray(optimiser.result_.x), last=True)
    return "ended by its own rule"


if __name__ == "__main__":
    main(
        solve,
        {"geomstats": geomstats.__version__, "numpy": np.__version__, "scipy": scipy.__version__},
    )
