"""A paper's orders between methods, checked on the records at hand, apart from the numbers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from fgbench.papers import Claim, Paper
from fgbench.records import Record, by_identity
from fgbench.report.model import ClaimResult


def check_claims(papers: Mapping[str, Paper], records: Sequence[Record]) -> list[ClaimResult]:
    """Every claim of every paper, with the means it was checked on; `holds` is None where a method has no record."""
    return [_check(claim, records) for paper in papers.values() for claim in paper.claims]


def _check(claim: Claim, records: Sequence[Record]) -> ClaimResult:
    groups = [
        [r for r in records if r.recipe == f"{recipe}@{claim.data}" and claim.metric in r.values and not _control(r)]
        for recipe in claim.order
    ]
    shared = set.intersection(*({(r.profile, r.protocol_hash) for r in group} for group in groups))
    if not shared:
        lacking = [recipe for recipe, group in zip(claim.order, groups, strict=True) if not group]
        why = f"no record of {', '.join(lacking)}" if lacking else "no protocol that all of them were run under"
        return ClaimResult(claim, None, why, ())
    chosen = max(shared, key=lambda key: (key[0] != "quick", key))
    same = [_latest([r for r in group if (r.profile, r.protocol_hash) == chosen]) for group in groups]
    means = [float(np.mean([r.values[claim.metric].value for r in group])) for group in same]
    holds = all(a > b for a, b in pairwise(means))
    line = " > " if holds else ", "
    text = line.join(f"{group[0].title} {mean:.1f}" for group, mean in zip(same, means, strict=True))
    return ClaimResult(claim, holds, text, tuple(r for group in same for r in group))


def _latest(records: Sequence[Record]) -> Sequence[Record]:
    """The runs of one identity that were finished last."""
    return max(by_identity(records), key=lambda group: str(group[-1].provenance.get("finished", "")))


def _control(record: Record) -> bool:
    return any(deviation.field == "control" for deviation in record.deviations)
