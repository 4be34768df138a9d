"""Make `import torchvision` work with a torch that is built without CUDA. Import this before torchvision or timm.

The torchvision of PyPI for Linux is built for CUDA. With a torch for the CPU, its compiled part cannot be loaded. Then
its import fails, because its Python code registers kernels for operators that are not declared. This module declares
them. Everything in torchvision works then, except these operators. If torchvision works, this module does nothing.
"""

import importlib.util
from pathlib import Path

import torch

_OPERATORS = ("nms", "qnms")
_library: torch.library.Library | None = None


def _compiled_part_loads() -> bool:
    """Load the compiled part of torchvision without importing torchvision; return False if that fails."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # torchvision is not installed; its import gives the best message
    libraries = [path for path in Path(spec.origin).parent.glob("_C*") if path.suffix in {".so", ".pyd"}]
    try:
        for path in libraries:
            torch.ops.load_library(path)  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return bool(libraries)


def declare_operators() -> None:
    """Declare the operators of torchvision once, if its compiled part cannot be loaded."""
    global _library  # noqa: PLW0603 - the declarations live as long as this object
    if _library is None and not hasattr(torch.ops.torchvision, "nms") and not _compiled_part_loads():
        _library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in _OPERATORS:
            schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            _library.define(schema)  # type: ignore[no-untyped-call]


declare_operators()
