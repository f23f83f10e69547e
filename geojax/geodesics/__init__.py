"""Curves: two-point solvers, the exponential map, solutions (see README.md in this folder)."""

from ._batch import geodesic_batch as geodesic_batch
from ._continuation import CoarseToFine as CoarseToFine
from ._continuation import LambdaContinuation as LambdaContinuation
from ._curve import IntegratedCurve as IntegratedCurve
from ._curve import Polyline as Polyline
from ._exponential import exponential_map as exponential_map
from ._gauss_newton import GaussNewton as GaussNewton
from ._geodesic import geodesic as geodesic
from ._georce import Georce as Georce
from ._iterate import AbstractIterativeSolver as AbstractIterativeSolver
from ._iterate import AbstractSolver as AbstractSolver
from ._log import distance as distance
from ._log import log_map as log_map
from ._neighbours import neighbour_path as neighbour_path
from ._path_energy import PathEnergy as PathEnergy
from ._problem import SolverOutput as SolverOutput
from ._problem import TwoPointProblem as TwoPointProblem
from ._results import RESULTS as RESULTS
from ._robust import robust_geodesic as robust_geodesic
from ._rules import AbstractRule as AbstractRule
from ._rules import Graph as Graph
from ._rules import Linearisation as Linearisation
from ._rules import Midpoint as Midpoint
from ._rules import Quadrature as Quadrature
from ._shooting import Shooting as Shooting
from ._solution import GeodesicSolution as GeodesicSolution
