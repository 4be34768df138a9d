"""Margins that are derived from published re-implementations."""

from math import ceil, sqrt
from typing import Literal, Self

from pydantic import Field, model_validator

from fgbench.papers.field_types import Metric
from fgbench.util.validation import StrictModel

MIN_COUNTED = 10
"""Smallest number of re-implementations from which a margin is derived."""
LeftOut = Literal["", "another input size", "an issue report"]
"""Why a re-implementation does not count: it is another experiment, or its settings are not known."""


class Reimplementation(StrictModel):
    """A published result of training a method again, beside the number that its paper prints."""

    name: str
    """The implementation and the method."""
    printed: float = Field(gt=0, lt=100, strict=True)
    """Number of the paper, in percent."""
    measured: float = Field(ge=0, le=100, strict=True)
    """Number of the re-implementation, in percent."""
    source: str
    """Document in which both numbers, or the second one, can be read."""
    left_out: LeftOut = ""
    """Why it does not count; empty if it counts."""


class DerivedMargin(StrictModel):
    """A margin: the half-width that holds a share of the re-implementations, scaled to the printed value of a cell.

    The differences between measured and printed numbers are brought to `reference` by `difficulty`. Of the n absolute
    differences in increasing order, the one with the number ceil(share n) is the half-width at `reference`. A cell with
    the printed value p has this half-width times difficulty(p) / difficulty(reference), rounded up to a hundredth.

    The share of an order statistic needs no assumption on the distribution of the differences, and one odd experiment
    in the list has no large effect.
    """

    data: str
    """Data set of the re-implementations."""
    metric: Metric
    share: float = Field(gt=0, le=1, strict=True)
    """Share of the re-implementations that lie within the margin."""
    reference: float = Field(gt=0, lt=100, strict=True)
    """Value, in percent, at which the half-width is stated."""
    derived: str
    """When the margin was derived, and from what."""
    reimplementations: tuple[Reimplementation, ...]

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if len(self.counted) < MIN_COUNTED:
            raise ValueError(
                f"a margin is derived from at least {MIN_COUNTED} re-implementations, not {len(self.counted)}"
            )
        if self.half_width == 0:
            raise ValueError(f"{self.share:.0%} of the re-implementations equal the printed numbers: the margin is 0")
        return self

    @property
    def counted(self) -> list[Reimplementation]:
        """The re-implementations that count."""
        return [one for one in self.reimplementations if not one.left_out]

    @property
    def half_width(self) -> float:
        """Half-width at `reference`, in points, not rounded."""
        differences = sorted(map(self.difference, self.counted))
        return differences[ceil(round(self.share * len(differences), 9)) - 1]

    def difference(self, one: Reimplementation) -> float:
        """Return the absolute difference of a re-implementation, brought to `reference`, in points."""
        return abs(one.measured - one.printed) * difficulty(self.reference) / difficulty(one.printed)

    def at(self, value: float) -> float:
        """Return the margin of a cell with a printed value, in points."""
        exact = self.half_width * difficulty(value) / difficulty(self.reference)
        return ceil(round(100 * exact, 6)) / 100


def difficulty(percent: float) -> float:
    """Return sqrt(p (100 - p)), the standard deviation of one image's result at an accuracy of p percent.

    Two trainings differ in the images that one of them gets right and the other one wrong. Near 100 % few images can
    differ, at 50 % most. The spread of the accuracy of a test set is proportional to this standard deviation.

    Example:
        >>> round(difficulty(18.8) / difficulty(84.0), 3)
        1.066
    """
    return sqrt(percent * (100 - percent))
