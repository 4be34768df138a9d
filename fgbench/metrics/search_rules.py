"""How a search for persons is measured: what a recipe for re-identification has to say, and what its numbers mean."""

from typing import Literal

from pydantic import Field

from fgbench.util.validation import StrictModel


class SearchRules(StrictModel):
    """By what distance images are ranked, which of them count, and which splits are run."""

    metric: Literal["euclidean", "cosine"]
    """Distance between two descriptors."""
    same_camera: Literal["remove", "keep", "remove_camera"] = "remove"
    """`remove` gallery images of the query's identity from its camera, `keep` them, or remove all from its camera."""
    gallery: Literal["all", "single_shot"] = "all"
    """CMC in the whole gallery, or in random galleries of one image an identity. Average precision is of the whole."""
    repeats: int = Field(default=10, ge=1)
    """Random galleries a query, where they are random."""
    ties: Literal["optimistic", "pessimistic", "mean"] = "mean"
    """Matches before negatives as near as they are, after them, or the mean of both."""
    no_match: Literal["skip", "zero"] = "skip"
    """Queries without a match are left out, or count as zero."""
    splits: int = Field(default=1, ge=1)
    """How many splits of the data set the seeds go through: seed k runs split k mod `splits` + 1."""
    directions: Literal["both", "first"] = "both"
    """Where a split can be searched from either camera: all its queries together, or those of the first way alone."""

    def number(self, seed: int) -> int:
        """The number of the split that a seed runs."""
        return seed % self.splits + 1

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        """Each metric with its definition: all that two methods must share, so not the distance."""
        camera = {
            "remove": "gallery images of the query's identity from the query's camera are removed",
            "keep": "gallery images from the query's camera are kept",
            "remove_camera": "all gallery images from the query's camera are removed",
        }[self.same_camera]
        ties = {
            "optimistic": "matches before negatives as near as they are",
            "pessimistic": "matches after negatives as near as they are",
            "mean": "the mean of matches before and after negatives as near as they are",
        }[self.ties]
        alone = {"skip": "left out", "zero": "counted as zero"}[self.no_match]
        shot = f"the mean of {self.repeats} random galleries of one image an identity"
        splits = f"{self.splits}, run by seed; {self.directions} of the ways between two cameras"
        return (
            ("cmc", "share of queries with a match among the first images"),
            ("cmc gallery", "the whole" if self.gallery == "all" else shot),
            ("map/step", "mean over queries of the mean over matches i, at ranks r, of i / r"),
            ("map/trapezoid", "the same of half of (i - 1) / (r - 1), or 1 where r is 1, and i / r"),
            ("minp", "mean over queries of matches over the rank of the last"),
            ("same camera", camera),
            ("junk", "removed; distractors are negatives"),
            ("ties", ties),
            ("no match", alone),
            ("splits", splits),
        )
