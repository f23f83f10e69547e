"""Experiments that one command reproduces (see README.md in this folder)."""

from ._store import RowStore as RowStore
from ._synthetic import CASES as CASES
from ._synthetic import SyntheticCase as SyntheticCase
from ._synthetic import SyntheticPlan as SyntheticPlan
from ._synthetic import run_synthetic as run_synthetic
from ._synthetic import synthetic_figure as synthetic_figure
from ._table import summarise as summarise
from ._table import write_csv as write_csv
