"""First line of a page: the data behind its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from fgbench.datasets.image_folder import PREFIX
from fgbench.records.record import Record
from fgbench.report.formatting import NONE


@dataclass(frozen=True, slots=True)
class DataOrigin:
    """The data behind the numbers of a page."""

    synthetic: bool
    """True if every measured number is from synthetic data."""
    text: str


def data_origin(records: Sequence[Record]) -> DataOrigin:
    """Return the data behind some records."""
    if not records:
        return DataOrigin(False, "No measurements yet: every number on this page is printed in a paper.")
    synthetic = sorted({record.data_title for record in records if record.synthetic})
    real = sorted({_real_data(record) for record in records if not record.synthetic})
    if not real:
        return DataOrigin(
            True,
            f"Synthetic data ({' and '.join(synthetic)}), drawn by fgbench, and small networks: "
            "these numbers are not comparable with printed numbers.",
        )
    text = f"Measured on {'; '.join(real)}."
    if synthetic:
        text += " Some runs are on synthetic data; their numbers are marked as not comparable with printed numbers."
    return DataOrigin(False, text)


def _real_data(record: Record) -> str:
    """Name of the data, number of images, and how the image files differ from the official ones."""
    protocol = record.protocol
    images = next((d.run for d in record.deviations if d.field == "data.images"), "official image files")
    if record.own_images:
        images = "own images"
    count = f"{protocol['train_images']:,} + {protocol['test_images']:,} images of {protocol['classes']} classes"
    return f"{record.data.removeprefix(PREFIX)} ({count}; {images})"


def recording_period(records: Sequence[Record]) -> str:
    """Return the times at which the first and the last record finished."""
    times = sorted(time for record in records if (time := record.finished))
    return " to ".join(dict.fromkeys((times[0], times[-1]))) if times else NONE
