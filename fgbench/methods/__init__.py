"""The papers' methods by name."""

from fgbench.methods import bcnn, fc_cnn, fisher
from fgbench.methods.base import Method, Outputs, methods

__all__ = ["Method", "Outputs", "bcnn", "fc_cnn", "fisher", "methods"]
