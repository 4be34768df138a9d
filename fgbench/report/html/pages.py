"""Pages and the navigation between them."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from fgbench.report.html.data_origin import DataOrigin


@dataclass(frozen=True, slots=True)
class Script:
    """A script inside a page."""

    text: Markup
    hash: str
    """Hash in the Content-Security-Policy, which allows this script only."""

    @classmethod
    def of(cls, text: str) -> "Script":
        """Return a script that is part of fgbench; its text is not escaped, so it must not contain data of a record."""
        digest = hashlib.sha256(text.encode()).digest()
        return cls(Markup(text), f"sha256-{base64.b64encode(digest).decode()}")


SCRIPT = Script.of((Path(__file__).parent / "templates" / "page.js").read_text(encoding="utf-8"))
"""Script of every page: sorts and filters tables, expands details."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the report."""

    name: str
    """Name of the file without the ending. It is the same in every report, so links stay valid."""
    title: str
    """Text in the navigation."""
    template: str
    """File in `templates/` that extends `base.html.j2`."""
    origin: DataOrigin
    """First line of the page."""
    group: str = ""
    """Heading in the navigation that several pages share."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """Variables of the template, beside those of every page."""
    listed: bool = True
    """False for a page that other pages link to, but not the navigation."""

    @property
    def file(self) -> str:
        """Name of the file in the folder of the report."""
        return f"{self.name}.html"

    @property
    def address(self) -> str:
        """Relative URL of the page."""
        return address(self.name)


def address(name: str) -> str:
    """Return the relative URL of a page. The name is quoted, so the URL stays inside the folder."""
    return f"{quote(name, safe='')}.html"


def is_web(url: str) -> bool:
    """Return True for a URL of the web, False for example for `javascript:`."""
    return url.startswith(("https://", "http://"))


def navigation(pages: Sequence[Page]) -> list[tuple[str, list[Page]]]:
    """Return the headings and pages of the navigation; each heading is at the place of its first page."""
    groups: list[tuple[str, list[Page]]] = []
    for page in (page for page in pages if page.listed):
        members = next((members for group, members in groups if group and group == page.group), None)
        if members is None:
            groups.append((page.group, [page]))
        else:
            members.append(page)
    return groups
