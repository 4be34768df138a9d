"""What changed beside the values of two nights: code, libraries, device, threads."""

from collections import Counter
from collections.abc import Iterator, Sequence

from fgbench.records.record import Record

FIELDS = {
    "device": "device",
    "cpu": "processor",
    "threads": "threads",
    "processes": "processes",
    "python": "Python",
    "platform": "system",
}
"""Fields of the provenance that are compared, with their names."""


def surroundings_note(pairs: Sequence[tuple[Record, Record]]) -> str:
    """Return how code and machine of two nights differ, one text for all runs; empty if they are equal.

    Args:
        pairs: the runs of both nights.
    """
    counts = Counter(text for base, head in pairs for text in _differences(base, head))
    return "; ".join(
        text if count == len(pairs) else f"{text} ({count} of {len(pairs)} runs)" for text, count in counts.items()
    )


def _differences(base: Record, head: Record) -> Iterator[str]:
    """Yield the differences between the code and the machines of two runs; what one of them lacks is not compared."""
    before, after = base.provenance, head.provenance
    sources = [str(p.get("source") or "") for p in (before, after)]
    if all(sources) and sources[0] != sources[1]:
        commits = [str(p.get("commit") or "")[:12] + " with edits" * bool(p.get("dirty")) for p in (before, after)]
        of_commits = f"commit {commits[0]} to {commits[1]}" if all(commits) else "commits not known"
        yield f"code {sources[0][:12]} to {sources[1][:12]}, {of_commits}"
    packages = [p.get("packages") or {} for p in (before, after)]
    for name in sorted(packages[0].keys() & packages[1].keys()):
        if packages[0][name] != packages[1][name]:
            yield f"{name} {packages[0][name]} to {packages[1][name]}"
    for field, name in FIELDS.items():
        a, b = before.get(field), after.get(field)
        if a is not None and b is not None and a != b:
            yield f"{name} {a} to {b}"
