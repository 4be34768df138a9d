"""A page a method: what it is, what it did on every data set, what it gets wrong, and where it stands in the papers."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from fgbench.judge.verdict import Outcome, Verdict, recipe_key
from fgbench.papers.recipes import Recipe
from fgbench.records.record import Deviation
from fgbench.report import formatting
from fgbench.report.html import model
from fgbench.report.html.charts import MOST_SERIES, Axis, Chart
from fgbench.report.html.confusions import Outputs, Pair, confusion_charts, confusions
from fgbench.report.html.figures import Bar, dots
from fgbench.report.html.groups import Group, Section, first_rows, named, nearest_first, sections_of, values_of
from fgbench.report.html.learning_curves import learning_sections
from fgbench.report.html.overview import OUTCOMES, Count
from fgbench.report.html.pages import Page
from fgbench.util.hashing import hash_value

MOST_PROTOCOLS = 3
"""Of one page whose confusions and parts are drawn."""
MOST_PICTURES = 4
"""Runs of one page whose pictures are shown."""
PARTS = {
    "pck@0.10": ("Keypoints within 0.10 of the box's longer side", "found, %"),
    "pcp": ("Parts whose box has an IoU over 0.5 with the true one", "found, %"),
    "attention": ("Attention where each part is", "attention, times the image's mean"),
}
"""Kinds of values by part: what they are, and what they count."""


@dataclass(frozen=True, slots=True)
class ConfusionSection:
    """Confusions of one run on one protocol."""

    section: Section
    title: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """Pictures of one run."""

    title: str
    data: str
    pictures: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Departure:
    """A deviation of some runs of a method."""

    deviation: Deviation
    runs: tuple[str, ...]
    cells: tuple[str, ...]
    """That it touches."""


@dataclass(frozen=True, slots=True)
class Method:
    """What the page of a method shows."""

    name: str
    about: str
    verdicts: tuple[Verdict, ...]
    """Of its cells, in all papers."""
    groups: tuple[Group, ...]
    """All its runs."""
    boards: tuple[tuple[str, list[tuple[str, Group]]], ...]
    """What a protocol is, and runs of it by name."""
    strips: tuple[Strip, ...]
    learning: tuple[Section, ...]
    confusions: tuple[ConfusionSection, ...]
    parts: tuple[Section, ...]
    departures: tuple[Departure, ...]

    @property
    def counts(self) -> list[Count]:
        """Its cells by outcome, those that there are."""
        outcomes = [verdict.outcome for verdict in self.verdicts]
        return [
            Count(formatting.BADGES[outcome], outcomes.count(outcome), outcomes.count(outcome) / len(outcomes), "")
            for outcome in OUTCOMES
            if outcome in outcomes
        ]

    @property
    def any_energy(self) -> bool:
        """Whether that of a run was measured."""
        return any(record.cost.energy_j is not None for group in self.groups for record in group)

    @property
    def searches(self) -> bool:
        """Whether it was tried on re-identification."""
        return any("cmc@1" in group[0].values for group in self.groups)

    @staticmethod
    def training_s(group: Group) -> float:
        """Seconds that the runs of a group were trained, in the mean."""
        return sum(record.cost.phase_s.get("training", 0.0) for record in group) / len(group)


def method_pages(
    verdicts: Sequence[Verdict],
    recipes: Mapping[str, Recipe],
    groups: Sequence[Group],
    pictures: Mapping[str, Mapping[str, bytes]],
    outputs: Outputs,
) -> list[Page]:
    """The pages of all methods that a recipe or a record names, by name.

    Args:
        verdicts: on the cells of all papers.
        recipes: by key.
        groups: every record, those together that differ in their seed alone.
        pictures: run id -> kind -> JPEG.
        outputs: gives the arrays of a record; asked for few of them.
    """
    names = sorted({recipe.method for recipe in recipes.values()} | {group[0].method for group in groups})
    pages = []
    for name in names:
        own = nearest_first(group for group in groups if group[0].method == name)
        cells = [verdict for verdict in verdicts if _method_of(verdict, recipes) == name]
        answering = {record.run_id for verdict in cells for record in verdict.records}
        method = Method(
            name,
            _about(name),
            tuple(cells),
            tuple(own),
            tuple(_board(caption, groups) for caption, groups in model.by_protocol(own)),
            tuple(_strips(own, pictures)),
            tuple(learning_sections(own)),
            tuple(_confusions(own, answering, outputs)),
            tuple(_parts(own)),
            tuple(_departures(own, cells)),
        )
        source = model.source([record for group in own for record in group])
        context = {"method": method}
        pages.append(Page(address_of(name), name.replace("_", " "), "method.html.j2", source, "Methods", context))
    return pages


def _board(caption: str, groups: Sequence[Group]) -> tuple[str, list[tuple[str, Group]]]:
    kept, more = first_rows(groups)
    return f"{caption} {more}".strip(), named(kept)


def address_of(method: str) -> str:
    """The name of a method's file; of a name that is no file's, a hash."""
    return f"method-{method if re.fullmatch('[A-Za-z0-9_-]{1,60}', method) else hash_value(method)}"


def _method_of(verdict: Verdict, recipes: Mapping[str, Recipe]) -> str:
    recipe = recipes.get(recipe_key(verdict.cell))
    return recipe.method if recipe and verdict.outcome != Outcome.CONTEXT else ""


def _about(name: str) -> str:
    """The first line of what the method's code says of it; nothing of a method that is not installed here."""
    from fgbench.methods import methods

    text = methods[name].__doc__ if name in methods else ""
    return (text or "").strip().partition("\n")[0]


def _strips(groups: Sequence[Group], pictures: Mapping[str, Mapping[str, bytes]]) -> list[Strip]:
    """What is drawn of the images of a run; what it finds in a gallery stands on the page on re-identification.

    Of runs of one title on one data set the first, which is the nearest to the papers' conditions.
    """
    names = {group[0].identity: name for name, group in named(groups)}
    found: dict[tuple[str, str], Strip] = {}
    for first in (group[0] for group in groups if not group[0].control):
        if (first.title, first.data) in found or len(found) == MOST_PICTURES:
            continue
        if own := {kind: image for kind, image in pictures.get(first.run_id, {}).items() if kind != "searches"}:
            title = f"{names[first.identity]}, seed {first.seed}"
            found[first.title, first.data] = Strip(title, first.data, own)
    return list(found.values())


def _confusions(groups: Sequence[Group], answering: Set[str], outputs: Outputs) -> list[ConfusionSection]:
    """Those of a run of each protocol: of one that answers a printed number, if there is one, and the nearest of these.

    Args:
        groups: runs of a method.
        answering: ids of the runs that printed numbers are held against.
        outputs: gives the arrays of a record.
    """
    scored = [group for group in groups if "accuracy" in group[0].values]
    sections, note = sections_of(scored, MOST_PROTOCOLS)
    found = []
    for caption, own in sections:
        group = max(own, key=lambda group: group[0].run_id in answering)  # of several the first, which is the nearest
        name = next(name for name, other in named(own) if other is group)
        counted = confusions(group, outputs)
        if counted is None:
            continue
        seeds = f"{name}, seed{'s' if len(counted.seeds) > 1 else ''} {', '.join(map(str, counted.seeds))}"
        others = f"; {len(own) - 1} more run{'s' if len(own) > 2 else ''} of this protocol" if len(own) > 1 else ""
        section = Section(caption, confusion_charts(counted), note if caption == sections[-1][0] else "")
        found.append(ConfusionSection(section, f"{seeds}{others and others + ' not shown'}", tuple(counted.pairs)))
    return found


def _parts(groups: Sequence[Group]) -> list[Section]:
    """Charts of what was measured at each part, by protocol."""
    measured = [group for group in groups if any(_kind(value) in PARTS for value in group[0].values)]
    sections, note = sections_of(measured, MOST_PROTOCOLS)
    found = []
    for caption, own in sections:
        charts = [chart for kind in PARTS if (chart := _part_chart(own[:MOST_SERIES], kind))]
        found.append(Section(caption, tuple(charts), note if caption == sections[-1][0] else ""))
    return found


def _part_chart(groups: Sequence[Group], kind: str) -> Chart | None:
    title, counted = PARTS[kind]
    bars = []
    for name, group in named(groups):
        for value in (value for value in group[0].values if _kind(value) == kind):
            if each := values_of(group, value):
                bars.append(Bar(name, value.partition("/")[2], sum(each) / len(each), min(each), max(each)))
    if not bars:
        return None
    least, most = (end(bars, key=lambda bar: bar.value) for end in (min, max))
    label = f"{counted}: from {least.value:.3g} for {least.name} to {most.value:.3g} for {most.name}."
    if counted.endswith("%"):
        return dots(title, label, Axis(counted, 0, 100), bars)
    return dots(title, label, Axis(counted), bars, at=1.0)


def _kind(value: str) -> str:
    """`pck@0.10` of `pck@0.10/beak`; nothing of a value that is not of a part."""
    kind, _, part = value.partition("/")
    return kind if part else ""


def _departures(groups: Sequence[Group], verdicts: Sequence[Verdict]) -> list[Departure]:
    """Every deviation of the runs, with the runs that have it and the cells that stand on these."""
    found: dict[tuple[str, str, str], tuple[Deviation, dict[str, None], dict[str, None]]] = {}
    cells: dict[str, list[str]] = {}
    for verdict in verdicts:
        for record in verdict.records:
            cells.setdefault(record.run_id, []).append(f"{verdict.cell.row}, {verdict.cell.column}")
    for group in groups:
        for record in group:
            for deviation in record.deviations:
                key = (deviation.field, str(deviation.recipe), str(deviation.run))
                _, runs, touched = found.setdefault(key, (deviation, {}, {}))
                runs |= {record.title: None}
                touched |= dict.fromkeys(cells.get(record.run_id, ()))
    return [
        Departure(d, tuple(sorted(runs)), tuple(sorted(touched))) for _, (d, runs, touched) in sorted(found.items())
    ]
