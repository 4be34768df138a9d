"""Pictures of runs that are read when a page shows them."""

from collections.abc import Iterator, Mapping
from pathlib import Path


class Pictures(Mapping[str, Mapping[str, bytes]]):
    """JPEG by run id and kind. The pictures of thousands of runs do not fit in memory; the pages show few of them."""

    def __init__(self, paths: Mapping[str, Mapping[str, Path]]) -> None:
        """Keep the paths of the pictures by run id and kind."""
        self._paths = paths

    def __getitem__(self, run_id: str) -> dict[str, bytes]:
        return {kind: path.read_bytes() for kind, path in self._paths[run_id].items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
