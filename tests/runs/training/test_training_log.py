"""Values of a training for loggers: which steps, which numbers, and what a failing logger does."""

import math

import pytest
from gpu_training import gpu_with
from small_trainings import Stop, bcnn, data, stage

from fgbench.runs.training.distributed import Engine
from fgbench.runs.training.loop import train
from fgbench.runs.training.training_log import TrainingLog
from fgbench.util.errors import FgbenchError

STAGES = [
    ("head", stage(train=("classifier",), augment=False, epochs=2, lr_drops=(2,))),
    ("all", stage(step=2, epochs=3)),
]
STEPS = 3
"""24 images in batches of 8."""


class Kept:
    """A logger that keeps its values."""

    def __init__(self):
        self.points, self.saves, self.ended = [], 0, ""

    def log_metrics(self, values, step):
        self.points.append((step, dict(values)))

    def save(self):
        self.saves += 1

    def finalize(self, status):
        self.ended = status


def trained(folder, logger, every=2, say=lambda line: None, engine=None, method=None, **options):
    method, engine = method or bcnn(), engine or Engine()
    with TrainingLog({"kept": logger}, every, STAGES, 24, say) as log:
        return train(method, data(), STAGES, seed=0, engine=engine, work=folder, log=log, **options)


def values(logger, name):
    return {step: point[name] for step, point in logger.points if name in point}


def test_every_nth_step_and_every_epoch_is_logged_through_all_stages(tmp_path):
    logger, lines = Kept(), []
    curve = trained(tmp_path, logger, say=lines.append)
    assert list(values(logger, "head/loss")) == [2, 4, 6]
    assert list(values(logger, "all/loss")) == [8, 10, 12, 14]
    assert all(math.isfinite(loss) for loss in values(logger, "all/loss").values())
    assert set(values(logger, "all/accuracy").values()) <= {100 * right / 8 for right in range(9)}
    assert list(values(logger, "head/epoch_loss").values()) == [point.loss for point in curve[:2]]
    assert values(logger, "all/epoch_accuracy") == dict(
        zip((9, 12, 15), (point.accuracy for point in curve[2:]), strict=True)
    )
    assert values(logger, "all/epoch") == {9: 1, 12: 2, 15: 3}
    assert values(logger, "head/learning_rate") == {3: 0.01, 6: pytest.approx(0.001)}
    speeds = [point[name] for _, point in logger.points for name in point if "images_per_s" in name]
    assert len(speeds) == 7 + 5
    assert min(speeds) > 0
    assert min(values(logger, "all/memory_mib").values()) > 10
    assert (logger.saves, logger.ended) == (5, "success")
    assert [line.rpartition(",")[0] for line in lines] == [
        f"stage {point.stage}, epoch {point.epoch}: loss {point.loss:.4g}, accuracy {point.accuracy:.2f} %"
        for point in curve
    ]


def test_a_continued_training_continues_the_numbers_of_steps(tmp_path):
    whole, first, second = Kept(), Kept(), Kept()
    trained(tmp_path / "whole", whole, every=1)
    with pytest.raises(Stop):
        trained(tmp_path / "parts", first, every=1, progress=stop_after(3))
    trained(tmp_path / "parts", second, every=1)
    assert (first.ended, second.ended) == ("failed", "success")
    assert min(step for step, _ in second.points) > STEPS
    both = {step: loss for logger in (first, second) for step, loss in values(logger, "all/loss").items()}
    assert both == values(whole, "all/loss")


def stop_after(epochs):
    done = []

    def progress(*arguments):
        done.append(arguments)
        if len(done) == epochs:
            raise Stop

    return progress


def test_a_failing_logger_ends_the_run_with_its_name(tmp_path):
    logger = Kept()
    logger.save = lambda: 1 / 0
    with pytest.raises(FgbenchError, match="the logger 'kept' failed: division by zero") as error:
        trained(tmp_path, logger)
    assert "without --log kept" in error.value.hint


def test_steps_on_a_gpu_do_not_wait_for_their_values(tmp_path):
    for every in (1, 1000):
        with gpu_with() as (gpu, engine):
            logger = Kept()
            trained(tmp_path / str(every), logger, every, engine=engine, method=bcnn().to("cuda"))
            waits = [wait for wait in gpu.waits if "training_log.py" in wait]
            points = len(values(logger, "head/loss")) + len(values(logger, "all/loss"))
            # Losses and accuracies of each of five epochs.
            assert (points, len(waits)) == ((15, 10) if every == 1 else (0, 0))
