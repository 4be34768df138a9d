"""The origin of a measured speed, as verdicts, pages and tables name it."""

from pydantic import BaseModel, ConfigDict


class SpeedSource(BaseModel):
    """The origin of a measured speed: its file, the code that was measured, and the time."""

    model_config = ConfigDict(frozen=True)

    file: str
    """Name of the file."""
    sha256: str
    """SHA-256 of the file."""
    commit: str
    """Commit of the working tree, with a remark if files were changed; empty if it is unknown."""
    code: str
    """Hash of the code that computes values, as in the id of a run; empty in files of earlier versions."""
    measured: str
    """Time at which the file was written."""

    def __str__(self) -> str:
        commit, code = self.commit or "unknown", self.code or "unknown"
        return f"{self.file}, SHA-256 {self.sha256}; commit {commit}, source {code}; {self.measured[:16]}"

    def columns(self) -> dict[str, str]:
        """Return the values of `SPEED_COLUMNS`."""
        return {f"speed_{name}": value for name, value in self.model_dump().items()}


SPEED_COLUMNS = {f"speed_{name}": "string" for name in SpeedSource.model_fields}
"""Columns of the origin of a measured speed in tables of verdicts, with their types."""
