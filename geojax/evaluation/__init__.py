"""Is it any good, and where: measures of scores and paths (see README.md in this folder)."""

from ._advice import ASYMMETRIC as ASYMMETRIC
from ._advice import INDISTINGUISHABLE as INDISTINGUISHABLE
from ._advice import Recommendation as Recommendation
from ._advice import recommend as recommend
from ._inspect import DIRECTIONS as DIRECTIONS
from ._inspect import Inspection as Inspection
from ._inspect import inspect_score as inspect_score
