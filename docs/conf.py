"""Settings of Sphinx; `tox -e docs` builds the pages."""

from sphinx.application import Sphinx

from fgbench import __version__

project = "fgbench"
author = "The fgbench maintainers"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"fgbench {__version__}"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
default_role = "literal"


def escape_bars(app: Sphinx, kind: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Escape the bars of absolute values such as |x|, which are substitutions in reStructuredText, outside of code."""
    for number, line in enumerate(lines):
        parts = line.split("`")
        parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
        lines[number] = "`".join(parts)


def setup(app: Sphinx) -> None:
    """Register the hook for docstrings."""
    app.connect("autodoc-process-docstring", escape_bars)
