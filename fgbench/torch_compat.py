"""Lets `import torchvision` work beside a torch built without CUDA. Import this before torchvision or timm.

PyPI's torchvision for Linux is built for CUDA. Beside a CPU-only torch its compiled part cannot load, and importing it
fails because the operators that Python code registers kernels for were never declared. Declaring them is enough for
everything but those operators themselves.
"""

import importlib.util
from pathlib import Path

import torch

_OPERATORS = ("nms", "qnms")
_library: torch.library.Library | None = None


def _compiled_part_loads() -> bool:
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return True
    compiled = [path for path in Path(found.origin).parent.glob("_C*") if path.suffix in {".so", ".pyd"}]
    try:
        for path in compiled:
            torch.ops.load_library(path)
    except OSError:
        return False
    return True


def declare_operators() -> None:
    """Declare torchvision's operators when its compiled part cannot load; does nothing otherwise, or again."""
    global _library  # noqa: PLW0603 - the declarations last as long as this object
    if _library is None and not hasattr(torch.ops.torchvision, "nms") and not _compiled_part_loads():
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for name in _OPERATORS:
            _library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


declare_operators()
