"""Lets `import torchvision` work beside a torch built without CUDA. Import this before torchvision or timm.

PyPI's torchvision for Linux is built for CUDA. Beside a CPU-only torch its compiled part cannot load, and importing it
fails because the operators that its Python code registers kernels for were never declared. Declaring them is enough
for everything but those operators themselves. Beside a torchvision that works this module changes nothing.
"""

import importlib.util
from pathlib import Path

import torch

_OPERATORS = ("nms", "qnms")
_library: torch.library.Library | None = None


def _compiled_part_loads() -> bool:
    """Whether torchvision's operators can be had from its compiled part; does not import torchvision."""
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        return True  # no torchvision: nothing to declare, and its own import says so best
    compiled = [path for path in Path(found.origin).parent.glob("_C*") if path.suffix in {".so", ".pyd"}]
    try:
        for path in compiled:
            torch.ops.load_library(path)  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return bool(compiled)


def declare_operators() -> None:
    """Declare torchvision's operators when its compiled part cannot load; does nothing otherwise, or again."""
    global _library  # noqa: PLW0603 - the declarations last as long as this object
    if _library is None and not hasattr(torch.ops.torchvision, "nms") and not _compiled_part_loads():
        _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in _OPERATORS:
            schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            _library.define(schema)  # type: ignore[no-untyped-call]


declare_operators()
