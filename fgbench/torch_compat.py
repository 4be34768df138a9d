"""The former place of `fgbench.util.torch_compat`, for programs that import it by this name."""

from fgbench.util.torch_compat import declare_operators

__all__ = ["declare_operators"]
