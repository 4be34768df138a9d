from made_records import of_accuracy

from fgbench.records.record import Point
from fgbench.report.html.learning_curves import MAX_EPOCHS, MAX_PROTOCOLS, learning_sections, learning_text

SYNTHETIC = {"synthetic": True, "data": "synthetic_birds", "profile": "quick"}


def curve(*losses, stages=("one",), accuracy=10.0):
    return [
        Point(stage=stage, epoch=epoch, loss=loss, accuracy=accuracy * epoch, wall_s=1)
        for stage in stages
        for epoch, loss in enumerate(losses, 1)
    ]


def trained(seed=0, *losses, stages=("one",), **fields):
    return of_accuracy(80.0 + seed, seed, curve=curve(*losses, stages=stages), **fields)


def test_learning_curves_have_every_seed_and_epoch():
    groups = [[trained(0, 3.0, 2.0, 1.0), trained(1, 5.0, 4.0, 3.0)]]
    ((loss, accuracy),) = [section.charts for section in learning_sections(groups)]
    assert [(row[1], row[2], row[3], row[4]) for row in loss.rows] == [(1, 4, 3, 5), (2, 3, 2, 4), (3, 2, 1, 3)]
    assert [row[2] for row in accuracy.rows] == [10, 20, 30]
    drawn = loss.spec["datasets"]["rows0"]
    assert [(row["r"], row["y"]) for row in drawn] == [
        ("seed 0", 3), ("seed 0", 2), ("seed 0", 1), ("seed 1", 5), ("seed 1", 4), ("seed 1", 3)
    ]  # fmt: skip
    assert "2 runs: from 3 to 5 in the first epoch to 1 to 3 in the last epoch" in loss.label


def test_stages_are_consecutive_and_a_line_is_between_them_if_all_runs_have_it():
    (section,) = learning_sections([[trained(0, 3.0, 2.0, stages=("classifier", "finetune"))]])
    assert section.note == "Stages: classifier then finetune"
    assert [row[1] for row in section.charts[0].rows] == [1, 2, 3, 4]
    assert [{"x": 2.5}] in section.charts[0].spec["datasets"].values()
    other = of_accuracy(70.0, recipe="bcnn/bcnn_dm@cub", curve=curve(3.0, 2.0, 1.0))
    (both,) = learning_sections([[trained(0, 3.0, 2.0, stages=("classifier", "finetune"))], [other]])
    assert "classifier then finetune (B-CNN [D,D])" in both.note
    assert [{"x": 2.5}] not in both.charts[0].spec["datasets"].values()


def test_each_protocol_has_charts_of_its_own():
    groups = [
        [trained(0, 7.0, 6.0, protocol={"data": "synthetic_birds"}, **SYNTHETIC)],
        *([trained(0, 9.0, 8.0, protocol={"classes": 20 + number})] for number in range(MAX_PROTOCOLS)),
    ]
    assert [[row[2] for row in section.charts[0].rows] for section in learning_sections(groups[:2])] == [[9, 8], [7, 6]]
    # Real data are first; a note counts the protocols beyond the limit.
    sections = learning_sections(groups)
    assert [[row[2] for row in section.charts[0].rows] for section in sections] == [[9, 8]] * MAX_PROTOCOLS
    assert sections[-1].note.endswith("Runs of 1 more protocol are not drawn.")


def test_long_curves_are_sampled_with_their_first_and_last_epoch():
    losses = [1000.0 - epoch for epoch in range(500)]
    (section,) = learning_sections([[trained(0, *losses)]])
    rows = section.charts[0].rows
    assert len(rows) == MAX_EPOCHS
    assert (rows[0][1:], rows[-1][1:]) == ((1, 1000), (500, 501))
    assert all(losses[int(at) - 1] == loss for _, at, loss in rows)


def test_points_that_are_not_finite_are_left_out():
    broken = of_accuracy(80.0, curve=curve(3.0, float("nan"), 1.0))
    (section,) = learning_sections([[broken]])
    assert [row[1:] for row in section.charts[0].rows] == [(1, 3), (3, 1)]
    nothing = of_accuracy(80.0, curve=curve(float("inf")))
    assert [chart.title for chart in learning_sections([[nothing]])[0].charts] == ["Training accuracy, %"]


def test_the_text_has_stages_epochs_and_both_ends():
    text = learning_text(curve(3.0, 2.0, stages=("classifier", "finetune")))
    assert text == "4 epochs (classifier then finetune): loss from 3 to 2, training accuracy from 10 % to 20 %"
