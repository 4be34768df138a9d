"""Runs on images that were compressed once more (`fgbench run --recompress`), recognised by their settings."""

import re
from functools import lru_cache
from typing import Any

from fgbench.records.record import Record

PIPELINES = ("train_pipeline", "test_pipeline")
"""Settings that begin with the step `recompress` in such a run."""
_STEP = re.compile(r"recompress\((\d+)\) \| ")


def quality_of(record: Record) -> int | None:
    """Return the JPEG quality to which a run compressed every image once more; None for a plain run.

    A run that compressed only the training images or only the test images counts as a plain run with other settings.
    """
    return _quality(*(str(record.settings.get(name, "")) for name in PIPELINES))


@lru_cache(maxsize=4096)
def _quality(*pipelines: str) -> int | None:
    """Return the quality with which all pipelines begin. Thousands of records have few different ones."""
    steps = [_STEP.match(pipeline) for pipeline in pipelines]
    qualities = {int(step[1]) if step else None for step in steps}
    return qualities.pop() if len(qualities) == 1 else None


def title_of(record: Record) -> str:
    """Return the title of a run with the quality of its recompression, which titles in older files do not have."""
    quality = quality_of(record)
    words = f", recompressed to quality {quality}" if quality else ""
    return record.title.removesuffix(words) + words


def plain_settings(record: Record) -> dict[str, Any]:
    """Return the settings of a run without the further compression: those of the plain run that it belongs to."""
    if quality_of(record) is None:
        return record.settings
    return record.settings | {name: _STEP.sub("", record.settings[name], count=1) for name in PIPELINES}
