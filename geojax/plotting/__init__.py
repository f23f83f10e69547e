"""Figures (see README.md in this folder)."""

from ._animation import animation_frames as animation_frames
from ._animation import save_animation as save_animation
from ._curves import plot_curves as plot_curves
from ._energy import energy_figure as energy_figure
from ._figure import save_figure as save_figure
from ._inspection import inspection_figure as inspection_figure
from ._paths import paths_figure as paths_figure
from ._report import FigureRow as FigureRow
from ._report import html_report as html_report
from ._report import save_report as save_report
from ._results_page import ResultPicture as ResultPicture
from ._results_page import ResultTable as ResultTable
from ._results_page import results_page as results_page
from ._style import pixels as pixels
from ._training import loss_curve as loss_curve
from ._training import sample_sheet as sample_sheet
