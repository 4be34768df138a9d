"""Which pages there are: what the navigation lists, and what renders each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fgbench.report.model import Source


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
    def address(self) -> str:
        """Its file, beside the others."""
        return f"{self.name}.html"


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
