"""Riemannian metrics from scores (see README.md in this folder)."""

from ._base import AbstractMetric as AbstractMetric
from ._base import ScaledMetric as ScaledMetric
from ._base import SumMetric as SumMetric
from ._conformal import AbstractConformalMetric as AbstractConformalMetric
from ._decoder import PullbackMetric as PullbackMetric
from ._dense import DenseMetric as DenseMetric
from ._density import DensityMetric as DensityMetric
from ._euclidean import Euclidean as Euclidean
from ._jacobian import JacobianMetric as JacobianMetric
from ._low_rank import AbstractLowRankMetric as AbstractLowRankMetric
from ._low_rank import LowRankScaled as LowRankScaled
from ._low_rank import LowRankSum as LowRankSum
from ._low_rank import LowRankTerms as LowRankTerms
from ._model_spaces import AbstractModelSpace as AbstractModelSpace
from ._model_spaces import PoincareBall as PoincareBall
from ._model_spaces import StereographicSphere as StereographicSphere
from ._operator import LowRankOperator as LowRankOperator
from ._pullback import AbstractPullbackMetric as AbstractPullbackMetric
from ._sampled import SampledPath as SampledPath
from ._score_norm import ScoreNormMetric as ScoreNormMetric
from ._smoothed import SmoothedSteinScoreMetric as SmoothedSteinScoreMetric
from ._stein import SteinScoreMetric as SteinScoreMetric
from ._sum_of_squares import AbstractSumOfSquaresMetric as AbstractSumOfSquaresMetric
from ._sum_of_squares import SumOfSquaresScaled as SumOfSquaresScaled
from ._sum_of_squares import SumOfSquaresSum as SumOfSquaresSum
from ._user_operator import OperatorMetric as OperatorMetric
