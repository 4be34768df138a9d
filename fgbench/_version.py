"""The version of fgbench."""

__version__ = "0.1.0"
