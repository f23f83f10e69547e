"""The command line (see README.md in this folder)."""

from ._app import app as app
from ._app import main as main
