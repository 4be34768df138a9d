"""The mark of a record whose predictions, or whose network, were made outside fgbench."""

from typing import Annotated, Literal

from pydantic import Field

from fgbench.util.validation import StrictModel

EXTERNAL = "external"
"""Profile of these records; also the name of the method of predictions, whose method is not known."""
UNCHECKED = {
    "predictions": (
        "the predictions were made outside fgbench, and nobody has checked on which data the network was trained, with "
        "which weights it began, which pixels it read, and whether anything was selected on the test images"
    ),
    "network": (
        "the network was trained outside fgbench, and nobody has checked on which data it was trained, with which "
        "weights it began, and whether anything was selected on the test images"
    ),
}
"""What was made outside -> the facts that nobody has checked, in one clause."""


class External(StrictModel):
    """What was made outside fgbench, and the file that it came in."""

    what: Literal["predictions", "network"]
    """`predictions`: only the values were computed here. `network`: a trained network was tested here."""
    name: str = Field(min_length=1)
    """Name of the result on pages and in tables."""
    file: str
    """Name of the file, without its folder; for data of a Python program, its kind."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the file."""
    result: str
    """Hash that is equal for the seeds of one result, and for no other record."""
    answers: Literal["", "labels", "scores", "keypoints", "features", "distances"] = ""
    """What a file of predictions holds; empty for a network."""

    @property
    def unchecked(self) -> str:
        """The facts that nobody has checked, in one clause."""
        return UNCHECKED[self.what]
