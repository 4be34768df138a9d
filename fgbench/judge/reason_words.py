"""The reason of a verdict in a few words."""

from collections.abc import Sequence

from fgbench.judge.change_words import changes_in_words
from fgbench.judge.verdict import Outcome, Verdict
from fgbench.util.counted import counted

MOST = 2
"""Number of changes that are named; the others are counted."""


def short_reason(verdict: Verdict) -> str:
    """Return the reason of a verdict on measured values in a few words."""
    match verdict.outcome:
        case Outcome.REPRODUCED:
            return "within the margin"
        case Outcome.EXCEEDS:
            return "above the margin"
        case Outcome.NOT_REPRODUCED:
            return "below the margin"
        case Outcome.INCONCLUSIVE:
            return _open_reason(verdict)
        case Outcome.NOT_COMPARABLE if verdict.is_measured:
            return _incomparable_reason(verdict)
    return verdict.reason


def _open_reason(verdict: Verdict) -> str:
    if verdict.frames:
        return "the measurement lies on both sides of the margin"
    decision, seeds = verdict.decision, len(verdict.records)
    images = _effect_of_images(verdict)
    if decision and decision.seeds_needed:
        more_seeds = f"{counted(seeds, 'seed')} {'does' if seeds == 1 else 'do'} not decide"
        return f"{more_seeds}, and {images}" if images else f"{more_seeds}; {decision.seeds_needed} would"
    if images:
        return images
    return "too few seeds" if decision is None or decision.p is None else "the seeds do not decide"


def _effect_of_images(verdict: Verdict) -> str:
    """Return how compressed images keep the verdict open, in a clause; empty if they do not."""
    if verdict.data_effect:
        return "compressed images may make the difference"
    if any(deviation.changes_data for deviation in verdict.deviations):
        return "the effect of the compressed images is not known"
    return ""


def _incomparable_reason(verdict: Verdict) -> str:
    if verdict.frames:
        kind = " (CPU)" if verdict.frames.device_type == "cpu" else ""
        return f"under other conditions: {verdict.frames.device}{kind}"
    if any(anomaly.invalidates_run for anomaly in verdict.anomalies):
        return "the values cannot be right"
    if verdict.records[0].synthetic:
        return "synthetic data"
    if verdict.mean is None:
        return "runs of several protocols"
    if words := changes_in_words(verdict.deviations):
        return _listed(words)
    return "a change is not listed in the record"


def _listed(words: Sequence[str]) -> str:
    """Return the first phrases, and the number of the others."""
    more = len(words) - MOST
    return ", ".join(words[:MOST]) + (f" and {more} more" if more > 0 else "")
