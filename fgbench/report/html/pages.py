"""Which pages there are: what the navigation lists, and what renders each."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from fgbench.report.html.model import Source


@dataclass(frozen=True, slots=True)
class Script:
    """A script that stands in a page, and what a policy knows it by."""

    text: Markup
    hash: str

    @classmethod
    def of(cls, text: str) -> "Script":
        """A script of ours: it has nothing of a record in it."""
        digest = hashlib.sha256(text.encode()).digest()
        return cls(Markup(text), f"sha256-{base64.b64encode(digest).decode()}")


SCRIPT = Script.of((Path(__file__).parent / "templates" / "page.js").read_text(encoding="utf-8"))
"""Sorting, filtering and unfolding."""


def address(name: str) -> str:
    """The address of a page from another: no name can be taken for more than a file beside it."""
    return f"{quote(name, safe='')}.html"


def is_web(url: str) -> bool:
    """Whether a link leads to a page on the web, and so not to a script."""
    return url.startswith(("https://", "http://"))


@dataclass(frozen=True, slots=True)
class Page:
    """A page, written beside the others."""

    name: str
    """Of its file, without the ending; the same in every report, as people keep links."""
    title: str
    """In the navigation."""
    template: str
    """File in `templates/`, which extends `base.html.j2`."""
    source: Source
    """What data its numbers are from: the first line of the page."""
    group: str = ""
    """Pages of one group stand together in the navigation, under this word."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """What the template needs beside what all pages get."""

    @property
    def file(self) -> str:
        """Its file, beside the others."""
        return f"{self.name}.html"

    @property
    def address(self) -> str:
        """What leads to it from another."""
        return address(self.name)


def navigation(pages: Sequence[Page]) -> list[tuple[str, list[Page]]]:
    """The pages in their order, with the word over them; each group once, where its first page stands."""
    found: list[tuple[str, list[Page]]] = []
    for page in pages:
        own = next((own for group, own in found if group and group == page.group), None)
        if own is None:
            found.append((page.group, [page]))
        else:
            own.append(page)
    return found
