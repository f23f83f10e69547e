"""Riemannian metrics from scores (see README.md in this folder)."""

from ._base import AbstractMetric as AbstractMetric
from ._compose import LowRankScaled as LowRankScaled
from ._compose import LowRankSum as LowRankSum
from ._compose import ScaledMetric as ScaledMetric
from ._compose import SumMetric as SumMetric
from ._dense import DenseMetric as DenseMetric
from ._euclidean import Euclidean as Euclidean
from ._low_rank import AbstractLowRankMetric as AbstractLowRankMetric
from ._low_rank import LowRankTerms as LowRankTerms
from ._operator import LowRankOperator as LowRankOperator
from ._stein import SteinScoreMetric as SteinScoreMetric
