"""Figures (see README.md in this folder)."""

from ._figure import save_figure as save_figure
from ._training import loss_curve as loss_curve
from ._training import sample_sheet as sample_sheet
