"""The papers' methods by name."""

from fgbench.methods import (
    bcnn,
    fc_cnn,
    keypoint_fcn,
    part_nets,
    tasn,
)
from fgbench.methods import (
    fv_cnn as fisher,
)
from fgbench.methods import (
    where_to_focus as spatial_lstm,
)
from fgbench.methods.base import Method, Options, Outputs, Target, Task, methods, options_of

__all__ = ["Method", "Options", "Outputs", "Target", "Task", "methods", "options_of"]
__all__ += ["bcnn", "fc_cnn", "fisher", "keypoint_fcn", "part_nets", "spatial_lstm", "tasn"]
