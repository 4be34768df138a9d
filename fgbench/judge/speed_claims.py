"""Claims on speeds: an order of recipes by frames per second, from measured rows.

A ratio of speeds is a number of a device. On the device of the paper the order is judged; on other devices the ratio is
shown and is not comparable.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from fgbench.judge.claims import ClaimResult
from fgbench.judge.frame_verdicts import COMMAND, is_named, may_answer
from fgbench.judge.run_pairs import ClaimState
from fgbench.papers.printed import Claim
from fgbench.speed.bench_rows import FramesRow


def with_speed_claims(results: Sequence[ClaimResult], rows: Sequence[FramesRow]) -> list[ClaimResult]:
    """Return the results of claims, in which the claims on speeds are judged.

    Args:
        results: results of all claims.
        rows: measured frames per second.
    """
    return [_judged(result.claim, rows) if result.claim.metric == "fps" else result for result in results]


def _judged(claim: Claim, rows: Sequence[FramesRow]) -> ClaimResult:
    """Return the result of a claim, on the device of the paper if all of its recipes were measured there."""
    names = [{recipe, f"{recipe}@{claim.data}"} for recipe in claim.order]
    fitting = [row for row in rows if may_answer(row) and row.dtype == "fp32" and not row.compiled]
    by_device: dict[str, list[FramesRow]] = {}
    for name in dict.fromkeys(row.device for row in fitting):
        sides = [[row for row in fitting if row.device == name and row.recipe in recipe] for recipe in names]
        if all(sides):
            by_device[name] = [max(side, key=lambda row: row.frames_per_s) for side in sides]
    if not by_device:
        text = f"the speeds are not measured on one device: {COMMAND} {' '.join(claim.order)} --data {claim.data}"
        return ClaimResult(claim, ClaimState.NOT_RUN, text)
    of_paper = [name for name in by_device if is_named(name, claim.devices)]
    device = (of_paper or [*by_device])[0]
    pairs = list(pairwise(by_device[device]))
    text = "; ".join(
        f"{fast.method} is {fast.frames_per_s / slow.frames_per_s:.1f} times as fast as {slow.method} "
        f"({fast.frames_per_s:.3g} and {slow.frames_per_s:.3g} frames/s)"
        for fast, slow in pairs
    )
    result = ClaimResult(claim, ClaimState.NOT_COMPARABLE, f"on {device}, {text}")
    if not of_paper:
        return result
    if any(fast.frames_per_s_high < slow.frames_per_s_low for fast, slow in pairs):
        return replace(result, state=ClaimState.CONTRADICTED)
    holds = all(fast.frames_per_s_low > slow.frames_per_s_high for fast, slow in pairs)
    return replace(result, state=ClaimState.HOLDS if holds else ClaimState.UNDECIDED)
