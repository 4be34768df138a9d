"""Margins on the page of a paper: where each one comes from, and the re-implementations behind a derived one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fgbench.judge.margin_test import points
from fgbench.judge.other_margins import FACTORS, OtherMargin, at_other_margins
from fgbench.judge.sensitivity import DataBound
from fgbench.judge.verdict import Verdict
from fgbench.papers.margins import DerivedMargin, Reimplementation
from fgbench.papers.printed import Cell, Paper
from fgbench.report.html.pages import address
from fgbench.util.counted import counted

METRICS = {
    "accuracy": "accuracy", "class_map": "mean average precision over classes", "cmc": "rates of the first ranks",
    "map": "mean average precision", "pck": "PCK", "pcp": "PCP", "fps": "frames a second",
}  # fmt: skip
"""Metric -> name in a sentence."""
FACTOR_NAMES = {0.5: "half the margin", 2.0: "twice the margin"}


@dataclass(frozen=True, slots=True)
class ListedRow:
    """A re-implementation in the table of a derived margin."""

    row: Reimplementation
    difference: float
    """Absolute difference from the printed number, brought to the reference."""
    rank: int | None
    """Position among those that count, from 1; None if it does not count."""
    is_half_width: bool
    """True for the one whose difference is the half-width."""


def margin_anchor(margin_from: str) -> str:
    """Return the link to the derivation of a margin, on the page of the paper in whose file it is."""
    return f"{address(margin_from.partition('/')[0])}#margins"


def margin_origin(cell: Cell, papers: Mapping[str, Paper]) -> str:
    """Return where the margin of a cell comes from, in a few words.

    Args:
        cell: the cell.
        papers: all papers, by id.
    """
    if not cell.margin_from:
        return "chosen, not derived"
    rule = _rule(cell.margin_from, papers)
    transferred = "" if rule.data == cell.data else f", from {rule.data} to {cell.data}"
    return f"derived from {counted(len(rule.counted), 're-implementation')}, scaled to {cell.value:g} %{transferred}"


def _rule(margin_from: str, papers: Mapping[str, Paper]) -> DerivedMargin:
    paper, _, name = margin_from.partition("/")
    return papers[paper].margins[name]


def margin_sentences(cells: Iterable[Cell], papers: Mapping[str, Paper]) -> list[tuple[str, str]]:
    """Return a sentence for each kind of margin of a paper, and the link to its derivation, empty for a chosen one.

    Args:
        cells: the cells of the paper that are judged in it.
        papers: all papers, by id.
    """
    derived: dict[str, str] = {}
    chosen: dict[tuple[float, str], dict[str, None]] = {}
    for cell in cells:
        if cell.margin_from:
            derived.setdefault(cell.margin_from, METRICS[cell.metric])
        else:
            chosen.setdefault((cell.margin, cell.unit), {})[METRICS[cell.metric]] = None
    sentences = [
        (_derived_sentence(metric, _rule(name, papers)), margin_anchor(name)) for name, metric in derived.items()
    ]
    for (margin, unit), metrics in chosen.items():
        names = " and ".join(metrics)
        sentences.append((f"{names[0].upper()}{names[1:]}: {margin:g} {points(unit)}, chosen, not derived.", ""))
    return sentences


def _derived_sentence(metric: str, rule: DerivedMargin) -> str:
    number, reference = counted(len(rule.counted), "re-implementation"), f"{rule.reference:g}"
    return (
        f"{metric.capitalize()}: derived from {number} on {rule.data}. {100 * rule.share:g} % of them lie within "
        f"{rule.half_width:.3f} points of the printed number at {reference} %. For a printed number p the margin is "
        f"this times s(p) / s({reference}), with s(p) = √(p (100 − p)), rounded up to a hundredth."  # noqa: RUF001
    )


def listed_rows(rule: DerivedMargin) -> list[ListedRow]:
    """Return the re-implementations of a derived margin by their difference; those that do not count are last."""
    counts = sorted(rule.counted, key=rule.difference)
    others = sorted((row for row in rule.reimplementations if row.left_out), key=rule.difference)
    # The first one at the half-width, because several may have the same difference.
    half = next(number for number, row in enumerate(counts, 1) if rule.difference(row) >= rule.half_width)
    ranked = [ListedRow(row, rule.difference(row), number, number == half) for number, row in enumerate(counts, 1)]
    return [*ranked, *(ListedRow(row, rule.difference(row), None, False) for row in others)]


def changes_at_other_margins(
    verdicts: Sequence[Verdict], bound_of: Callable[[Verdict], DataBound | None]
) -> list[tuple[str, int, int]]:
    """Return, for each other margin, its name, the number of verdicts that would change, and the number of verdicts.

    Args:
        verdicts: on the cells of a paper.
        bound_of: bound of the effect of changed data that a verdict used.
    """
    tested = [(verdict, at_other_margins(verdict, bound_of(verdict))) for verdict in verdicts]
    tested = [(verdict, others) for verdict, others in tested if others]
    return [
        (FACTOR_NAMES[factor], sum(others[k].outcome != verdict.outcome for verdict, others in tested), len(tested))
        for k, factor in enumerate(FACTORS)
        if tested
    ]


def other_margin_text(others: Sequence[OtherMargin], unit: str) -> str:
    """Return the outcomes at other margins as one line.

    Args:
        others: result of `at_other_margins`.
        unit: unit of the margins.
    """
    return "; ".join(f"{FACTOR_NAMES[o.factor]} ({o.margin:.3g} {unit}): {o.outcome}" for o in others)
