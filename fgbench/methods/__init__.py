"""The papers' methods by name."""

from fgbench.methods import bcnn, fc_cnn, fisher
from fgbench.methods.base import Method, Outputs, Target, Task, methods, options_of

__all__ = ["Method", "Outputs", "Target", "Task", "bcnn", "fc_cnn", "fisher", "methods", "options_of"]
