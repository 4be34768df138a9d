"""Image files that the user names one by one, decoded through a pipeline on access."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from fgbench.datasets.pipeline import Pipeline
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError
from fgbench.util.files import kind_of_special_file


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
        return np.stack([_decoded(self.files[row], self._pipeline) for row in np.arange(len(self.files))[rows]])

    def check(self) -> None:
        """Decode every file.

        Raises:
            FgbenchError: files are missing or damaged, are no images, or do not fit the pipeline; all are named.
        """
        faults = []
        for file in dict.fromkeys(self.files):
            try:
                _decoded(file, self._pipeline)
            except FgbenchError as error:
                faults.append(str(error.args[0]))
        if faults:
            listed = "".join(f"\n    {fault}" for fault in faults)
            of_all = f"{len(faults)} of {counted(len(self.files), 'image')} cannot be used:{listed}"
            raise FgbenchError(faults[0] if len(self.files) == 1 else of_all, "name only images that can be decoded")

    def sizes(self) -> list[tuple[int, int]]:
        """Return width and height of the original images in pixels."""
        sizes = []
        for file in self.files:
            with Image.open(file) as image:
                sizes.append(image.size)
        return sizes


def _decoded(file: Path, pipeline: Pipeline) -> np.ndarray:
    """Decode one image; errors name its file and say what is wrong."""
    try:
        if kind := kind_of_special_file(file):
            raise FgbenchError(f"{file} is {kind}, not an image")
        with Image.open(file) as image:
            return pipeline.decode(image)
    except FileNotFoundError as error:
        raise FgbenchError(f"{file} does not exist") from error
    except UnidentifiedImageError as error:
        raise FgbenchError(f"{file} is not an image") from error
    except FgbenchError as error:
        named = str(error.args[0])
        raise FgbenchError(named if named.startswith(os.fspath(file)) else f"{file}: {named}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FgbenchError(f"{file} cannot be decoded: {getattr(error, 'strerror', None) or error}") from error
