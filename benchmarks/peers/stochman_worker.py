"""stochman: a cubic spline whose left-end energy Adam minimises, with a dense metric."""

from importlib.metadata import version

import torch
from recording import Recorder, main, ring_score
from stochman.curves import CubicSpline
from stochman.geodesic import geodesic_minimizing_energy
from stochman.manifold import Manifold

torch.set_default_dtype(torch.float64)
_NODES = 20  # of the spline; the library's default of 5 can't bend around the ring


class SteinManifold(Manifold):
    """I + lam s s^T, as the D x D matrices that stochman needs."""

    def __init__(self, problem, recorder: Recorder):
        self.recorder = recorder
        self.problem = {name: torch.as_tensor(value) for name, value in problem.items()}

    def metric(self, points):
        self.recorder.evaluations += len(points)
        s = ring_score(points, self.problem, torch)
        eye = torch.eye(s.shape[-1]).expand(len(s), -1, -1)
        return eye + self.problem["lam"] * s[:, :, None] * s[:, None, :]


def solve(problem, recorder: Recorder) -> str:
    """The library's own minimiser, with as many points as other solvers have nodes."""
    n = int(problem["num_segments"])
    ends = (torch.as_tensor(problem[name])[None] for name in ("x0", "x1"))
    curve = CubicSpline(*ends, num_nodes=_NODES)

    def path():
        with torch.no_grad():
            return curve(torch.linspace(0, 1, n + 1)).reshape(n + 1, -1).numpy()

    class RecordedAdam(torch.optim.Adam):
        def step(self, closure=None):
            loss = super().step(closure)
            recorder.record(path)
            return loss

    converged = geodesic_minimizing_energy(
        curve,
        SteinManifold(problem, recorder),
        optimizer=RecordedAdam,
        max_iter=10**9,
        eval_grid=n + 1,
    )
    recorder.record(path, last=True)
    return "ended by its own rule" if converged else "gave up"


if __name__ == "__main__":
    names = ("stochman", "torch", "numpy")
    main(solve, {name: version(name) for name in names})
