"""The methods of the papers, by name."""

from fgbench.methods import bcnn, fc_cnn, fv_cnn, keypoint_fcn, part_nets, tasn, where_to_focus
from fgbench.methods.base import Method, Options, Outputs, Target, Task, methods, options_of

__all__ = ["Method", "Options", "Outputs", "Target", "Task", "methods", "options_of"]
__all__ += ["bcnn", "fc_cnn", "fv_cnn", "keypoint_fcn", "part_nets", "tasn", "where_to_focus"]
