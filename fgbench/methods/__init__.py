"""The papers' methods by name."""

from fgbench.methods import bcnn, fc_cnn, fisher, keypoint_fcn, part_nets, spatial_lstm, tasn
from fgbench.methods.base import Method, Options, Outputs, Target, Task, methods, options_of

__all__ = ["Method", "Options", "Outputs", "Target", "Task", "methods", "options_of"]
__all__ += ["bcnn", "fc_cnn", "fisher", "keypoint_fcn", "part_nets", "spatial_lstm", "tasn"]
