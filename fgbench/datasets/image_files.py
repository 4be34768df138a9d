"""Image files that the user names one by one, decoded through a pipeline on access."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fgbench.datasets.image_modes import reading_note
from fgbench.datasets.image_reading import ImageError, decoded_image, image_size
from fgbench.datasets.pipeline import Pipeline
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError


class ImageFiles:
    """Images after the deterministic steps of a pipeline: (N, H, W, 3) uint8 RGB, as `fgbench.datasets.pixel_cache`.

    Nothing is kept: each access decodes its files.

    Args:
        files: N files.
        pipeline: preprocessing without `crop_box`. Its random steps are not applied.
    """

    def __init__(self, files: Sequence[Path], pipeline: Pipeline) -> None:
        self.files, self._pipeline = tuple(files), pipeline

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""
        size = self._pipeline.cached_size
        return len(self.files), size, size, 3

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Decode some images.

        Raises:
            FgbenchError: a file cannot be decoded, or a step does not fit its image.
        """
        return np.stack([_decoded(self.files[row], self._pipeline)[0] for row in np.arange(len(self.files))[rows]])

    def check(self) -> tuple[str, ...]:
        """Decode every file.

        Returns:
            For each file, in which way the network sees it differently than a viewer shows it, as `reading_note`.

        Raises:
            FgbenchError: files are missing or damaged, are no images, or do not fit the pipeline; all are named.
        """
        faults, notes = [], {}
        for file in dict.fromkeys(self.files):
            try:
                notes[file] = _decoded(file, self._pipeline)[1]
            except FgbenchError as error:
                faults.append(str(error.args[0]))
        if faults:
            listed = "".join(f"\n    {fault}" for fault in faults)
            of_all = f"{len(faults)} of {counted(len(self.files), 'image')} cannot be used:{listed}"
            raise FgbenchError(faults[0] if len(self.files) == 1 else of_all, "name only images that can be decoded")
        return tuple(notes[file] for file in self.files)

    def sizes(self) -> list[tuple[int, int]]:
        """Return width and height of the original images in pixels."""
        return [image_size(file) for file in self.files]


def _decoded(file: Path, pipeline: Pipeline) -> tuple[np.ndarray, str]:
    """Return an image after a pipeline, and the note of `reading_note`; errors name the file."""
    try:
        with decoded_image(file) as image:
            return pipeline.decode(image.rgb), reading_note(image.stored)
    except ImageError:
        raise
    except FgbenchError as error:
        raise FgbenchError(f"{file}: {error.args[0]}") from error
