"""Rules of the evaluation of person re-identification: the table `ranking` of a recipe."""

from typing import Literal

from pydantic import Field

from fgbench.util.validation import StrictModel


class SearchRules(StrictModel):
    """Distance, rules for the images that count, and splits of an evaluation.

    Example:
        >>> rules = SearchRules(metric="cosine", splits=20)
        >>> rules.number(0), rules.number(21)
        (1, 2)
        >>> dict(rules.definitions)["no match"]
        'left out'
    """

    metric: Literal["euclidean", "cosine"]
    """Distance between two descriptors."""
    same_camera: Literal["remove", "keep", "remove_camera"] = "remove"
    """Rule for gallery images from the camera of the query: `remove` those with its identity, `keep` them, or remove
    all (`remove_camera`)."""
    gallery: Literal["all", "single_shot"] = "all"
    """Gallery of the CMC: all images, or random galleries with one image of each identity. Average precision always
    uses all images."""
    repeats: int = Field(default=10, ge=1)
    """Random galleries of each query if `gallery` is `single_shot`."""
    ties: Literal["optimistic", "pessimistic", "mean"] = "mean"
    """Rule for ties: matches before negatives at the same distance, after them, or the mean of both."""
    no_match: Literal["skip", "zero"] = "skip"
    """Queries without a match are skipped or count as zero."""
    splits: int = Field(default=1, ge=1)
    """Number of splits that the seeds use: seed k uses split k mod `splits` + 1."""
    directions: Literal["both", "first"] = "both"
    """If the queries of a split can come from either camera: use both directions, or the first one."""

    def number(self, seed: int) -> int:
        """Return the number of the split that a seed uses."""
        return seed % self.splits + 1

    @property
    def definitions(self) -> tuple[tuple[str, str], ...]:
        """Name and text of each rule that all methods of a protocol share, so without the distance."""
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
        no_match = {"skip": "left out", "zero": "counted as zero"}[self.no_match]
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
            ("no match", no_match),
            ("splits", splits),
        )
