"""The values that a recipe fixes: data, networks, preprocessing, training and classifier."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from fgbench.datasets.pipeline import Pipeline
from fgbench.metrics.search_rules import SearchRules
from fgbench.util.errors import FgbenchError
from fgbench.util.validation import StrictModel

FULL, HALF = "32-true", "bf16-mixed"
"""Names of the precisions, as Lightning has them."""


class Stage(StrictModel):
    """One stage of training."""

    step: int
    """Position among the stages, from 1."""
    train: tuple[str, ...] = Field(min_length=1)
    """Parameter groups of the method that are trained; the other groups stay fixed."""
    losses: tuple[str, ...] = ()
    """Losses of the method whose sum is minimised; empty for all losses."""
    epochs: int = Field(gt=0)
    batch_size: int = Field(gt=0)
    lr: float = Field(gt=0)
    """Learning rate of the backbone. The rate of the classifier is `lr` times `classifier_lr_scale`."""
    classifier_lr_scale: float = Field(default=1.0, gt=0)
    momentum: float = Field(ge=0, lt=1)
    """Momentum of SGD, or beta 1 of Adam."""
    optimizer: Literal["sgd", "adam"] = "sgd"
    weight_decay: float = Field(ge=0)
    """Weight decay of the backbone. That of the classifier is `weight_decay` times `classifier_decay_scale`."""
    classifier_decay_scale: float = Field(default=1.0, ge=0)
    classifier_bias_lr_scale: float | None = Field(default=None, gt=0)
    """Factor on `lr` for the biases of the classifier; None for that of its weights."""
    classifier_bias_decay_scale: float | None = Field(default=None, ge=0)
    """Factor on `weight_decay` for the biases of the classifier; None for that of its weights."""
    lr_scales: dict[str, float] = {}
    """Factors on the learning rate of groups other than the classifier."""
    lr_drops: tuple[int, ...] = ()
    """Epochs, from 1, before which the learning rate is divided by ten."""
    augment: bool = True
    """Apply the random steps of `train_pipeline`."""
    flip_once: bool = False
    """Mirror each image with probability 1/2, drawn once before the features are computed. For a stage without
    `augment` that trains the classifier alone."""


class Svm(StrictModel):
    """The one-vs-rest linear SVM that is trained on descriptors."""

    c: float = Field(gt=0)
    loss: Literal["hinge", "squared_hinge"] = "hinge"
    bias_multiplier: float = Field(default=1.0, gt=0)
    calibrate: bool = True
    """Calibrate the scores of each class by the medians of its negatives and positives in training."""
    calibrated: Literal["weights_and_bias", "weights"] = "weights_and_bias"
    """What is calibrated. With `weights_and_bias` the medians become 0 and 1. With `weights` the weights alone are
    scaled, so that the medians differ by 2, and the bias stays."""
    tolerance: float = Field(default=1e-3, gt=0)
    """Duality gap at which training stops."""
    gap: Literal["relative", "mean"] = "relative"
    """Measure of the duality gap: divided by the primal objective; or by C and the number of samples, as VLFeat has it,
    which then stops far from the optimum."""


class Settings(StrictModel):
    """Every value that a recipe fixes.

    A run has these fields with the changes of its profile. A deviation is a field in which a run differs.
    """

    data: str
    """Name of the data set."""
    backbones: tuple[str, ...]
    """Streams as `network:tap`, such as `vgg16:relu5_3`. Two equal streams share their weights; two that differ in a
    label, such as `vgg16:relu5_3#head`, do not. Empty for SIFT."""
    weights: tuple[str, ...] = ()
    """Names of weight files, the paper's own first. Any file that fits a stream is accepted; all but the first are
    deviations."""
    train_pipeline: str
    """Preprocessing and augmentation of training images."""
    test_pipeline: str
    """Preprocessing of test images, and of training images when descriptors are computed."""
    mirror: bool
    """Train the SVM on descriptors of each image and its mirror image, and average their scores at test time."""
    options: dict[str, bool | int | float | str] = {}
    """Options of the method."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Precision of matrix products and convolutions: of the training and of fixed blocks, or of the networks if the
    stages train at most the head. All else that is computed outside of the training is float32."""
    stages: dict[str, Stage] = {}
    """Stages of training by name."""
    fixed_blocks: int = Field(default=0, ge=0)
    """Number of blocks of each network, up to a pooling layer each, whose weights no stage trains."""
    starts_from: str = ""
    """Another recipe for the same data set, whose stages are the first stages of this one. They are trained once."""
    classifier: Literal["svm", "softmax", "none", "ranking"]
    """The source of the scores. `none`: the run localises keypoints only. `ranking`: the run searches a gallery by
    distances between descriptors."""
    svm: Svm | None = None
    """Settings of the SVM if it is the classifier."""
    ranking: SearchRules | None = None
    """Rules of the gallery search if `classifier` is `ranking`."""

    @field_validator("train_pipeline", "test_pipeline")
    @classmethod
    def _canonical(cls, text: str) -> str:
        return str(Pipeline.parse(text))

    @field_validator("test_pipeline")
    @classmethod
    def _deterministic(cls, text: str) -> str:
        if steps := Pipeline.parse(text).random:
            raise FgbenchError(f"test_pipeline has the random step {steps[0]}", "move it to train_pipeline")
        return text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.classifier == "ranking") != (self.ranking is not None):
            raise ValueError("classifier = 'ranking' and the table 'ranking' must be given together")
        return self

    @property
    def ordered_stages(self) -> list[tuple[str, Stage]]:
        """Return the stages with their names in the order of `step`."""
        return sorted(self.stages.items(), key=lambda item: item[1].step)
