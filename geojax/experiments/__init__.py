"""Experiments that one command reproduces (see README.md in this folder)."""

from ._characters import run_characters as run_characters
from ._characters_plan import CharactersPlan as CharactersPlan
from ._rotated_mnist import RotatedMnistTables as RotatedMnistTables
from ._rotated_mnist import run_rotated_mnist as run_rotated_mnist
from ._rotated_mnist_pairs import Digits as Digits
from ._rotated_mnist_plan import Protocol as Protocol
from ._rotated_mnist_plan import RotatedMnistPlan as RotatedMnistPlan
from ._store import RowStore as RowStore
from ._synthetic import SyntheticPlan as SyntheticPlan
from ._synthetic import run_synthetic as run_synthetic
from ._synthetic_cases import CASES as CASES
from ._synthetic_cases import SyntheticCase as SyntheticCase
from ._synthetic_figures import synthetic_figures as synthetic_figures
from ._table import summarise as summarise
from ._table import with_error as with_error
from ._table import write_csv as write_csv
