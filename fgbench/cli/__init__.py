"""The command line: one file a verb, the options they share in `options.py`, the terminal in `console.py`."""

from fgbench.cli.app import app, main

__all__ = ["app", "main"]
