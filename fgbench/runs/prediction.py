"""Computation of measured outputs from images: classifier scores or embeddings, averaged with the mirror image."""

from collections.abc import Callable

from torch import Tensor

from fgbench.methods.base import Method, Outputs
from fgbench.papers.settings import Settings
from fgbench.runs.training.linear_svm import LinearSvm

Predictor = Callable[[Tensor], dict[str, Tensor]]
"""Maps images (B, 3, H, W) uint8 to named outputs (B, ...)."""


def output_names(method: Method, settings: Settings) -> tuple[str, ...]:
    """Return the names of the outputs that are measured."""
    main = {"none": (), "ranking": ("embedding",)}.get(settings.classifier, ("scores",))
    return (*main, *method.OUTPUTS)


def predictor(method: Method, settings: Settings, svm: LinearSvm | None) -> Predictor:
    """Return the function that maps images to the measured outputs.

    Args:
        method: the trained method.
        settings: settings of the run.
        svm: the trained classifier if `settings.classifier` is `svm`, else None.

    Returns:
        A function from images (B, 3, H, W) uint8 to `scores` (B, classes) or `embedding` (B, D), and to the outputs in
        `method.OUTPUTS`. With `settings.mirror`, scores and embeddings are means of an image and its mirror image.
    """
    if settings.classifier == "ranking":
        return mean_with_mirror(method, "embedding", lambda outputs: outputs.embedding, settings.mirror)
    if svm is not None:
        return mean_with_mirror(method, "scores", lambda outputs: svm.scores(outputs.embedding), settings.mirror)
    return mean_with_mirror(method, "scores", lambda outputs: outputs.logits, settings.mirror)


def mean_with_mirror(method: Method, name: str, select: Callable[[Outputs], Tensor], mirror: bool) -> Predictor:
    """Return a function that maps images to named outputs.

    Args:
        method: the trained method.
        name: name of the output that `select` returns.
        select: computes this output from the outputs of the method.
        mirror: average this output over an image and its mirror image.
    """

    def predict(images: Tensor) -> dict[str, Tensor]:
        outputs = method.predict(images)
        values = {output: getattr(outputs, output) for output in method.OUTPUTS}
        values[name] = select(outputs)
        if mirror:
            values[name] = (values[name] + select(method.predict(images.flip(-1)))) / 2
        return values

    return predict
