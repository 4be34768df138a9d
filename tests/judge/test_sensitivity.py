from statistics import NormalDist

import numpy as np
import pytest
from made_records import Kept, made
from recompressed_runs import FIXED, RIGHT, N, bounds_of, changed, interval, one_bound, run_at, series, settings_at
from scipy import stats

from fgbench.judge.compression_effects import measure
from fgbench.judge.sensitivity import bound_for, find_bounds
from fgbench.records.record import Weights


def test_known_effects_give_the_bound():
    found = one_bound(*series({75: (2, 1), 50: (6, 2), 30: (30, 10)}))
    expected = [interval(2, 1, 3), interval(6, 2, 3), interval(30, 10, 3)]
    assert [effect.interval for effect in found.effects] == [pytest.approx(ends) for ends in expected]
    assert [effect.quality for effect in found.effects] == [75, 50, 30]
    assert [effect.value for effect in found.effects] == pytest.approx([-0.1, -0.4, -2.0])
    assert [(effect.lower, effect.higher) for effect in found.effects] == [(2, 1), (6, 2), (30, 10)]
    assert [effect.measured for effect in found.effects] == pytest.approx([69.9, 69.6, 68.0])
    assert found.bound == pytest.approx(-expected[2][0])
    assert found.unit == "%"
    # Two images are added, so that the interval is nearly the one without them.
    z, error = NormalDist().inv_cdf(1 - 0.025 / 3), 100 * (40 - 400 / N) ** 0.5 / N
    assert found.bound == pytest.approx(2 + z * error, rel=0.02)


def test_an_effect_upwards_counts_as_one_downwards():
    down, up = one_bound(*series({75: (1, 0), 50: (9, 4)})), one_bound(*series({75: (0, 1), 50: (4, 9)}))
    assert up.bound == pytest.approx(down.bound)
    assert up.effects[1].value == pytest.approx(0.5)


def test_the_largest_effect_may_be_that_of_a_higher_quality():
    found = one_bound(*series({60: (40, 0), 50: (0, 0)}))
    assert found.bound == pytest.approx(-interval(40, 0, 2)[0])


def test_a_compression_that_changes_no_image_is_bounded_by_about_two_images():
    found = one_bound(*series({75: (0, 0), 30: (0, 0)}))
    assert found.bound == pytest.approx(interval(0, 0, 2)[1])
    assert 0.2 < found.bound < 0.25


def test_the_text_names_runs_effects_trend_and_assumption():
    pairs = series({75: (1, 0), 50: (5, 0), 30: (20, 0)})
    found = one_bound(*pairs)
    assert found.run_ids == tuple(record.run_id for record, _ in pairs)
    assert all(run_id in found.text for run_id in found.run_ids)
    assert f"by at most {found.bound:.2f} points" in found.text
    assert "quality 30: -2.00" in found.text
    slope = np.polyfit([-7.5, -5.0, -3.0], [-0.1, -0.5, -2.0], 1)[0]
    assert f"changes by {slope:+.2f} points for each 10 steps of lower quality" in found.text
    assert "does not grow steadily" not in found.text
    assert "no more than a further compression to quality 30 does" in found.text


@pytest.mark.parametrize("effects", [{75: (5, 0), 50: (2, 0), 30: (20, 0)}, {75: (0, 2), 50: (1, 0), 30: (20, 0)}])
def test_a_trend_that_is_not_monotone_is_told(effects):
    assert "it does not grow steadily" in one_bound(*series(effects)).text


def test_the_interval_of_the_slope_pairs_the_images():
    pairs = series({75: (1, 0), 50: (5, 0), 30: (20, 0)})
    (first,) = measure([record for record, _ in pairs], Kept(*pairs))
    strength = np.array([-7.5, -5.0, -3.0])
    rows = 100.0 * np.stack([changed(*images) for images in ((1, 0), (5, 0), (20, 0))]) - 100.0 * RIGHT
    slopes = np.array([np.polyfit(strength, column, 1)[0] for column in rows.T])
    half = stats.t.ppf(0.975, N - 1) * slopes.std(ddof=1) / N**0.5
    assert f"(95 % interval {slopes.mean() - half:+.2f} to {slopes.mean() + half:+.2f})" in first.trend


@pytest.mark.parametrize("effects", [{30: (20, 0)}, {75: (1, 0), 60: (20, 0)}])
def test_too_few_or_too_weak_compressions_give_no_bound(effects):
    assert bounds_of(*series(effects)) == {}


def test_without_a_plain_run_nothing_is_measured():
    _, *recompressed = series({75: (1, 0), 30: (20, 0)})
    assert measure([record for record, _ in recompressed], Kept(*recompressed)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"provenance": {"source": "other"}},
        {"provenance": {"packages": {"pillow": "1"}}},
        {"provenance": {"device": "cuda"}},
        {"profile": "frozen"},
        {"changes": FIXED | {"precision": "bf16-mixed"}},
        {"split": "2"},
        {"protocol": {"images": "other"}},
        {"weights": [Weights(stream="vgg16:relu5_3", name="vgg16.x", sha256="1" * 64, official=True)]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_plain_run_under_other_conditions_is_not_compared(fields):
    plain = series({}, **fields)
    _, *recompressed = series({75: (1, 0), 30: (20, 0)})
    pairs = [*plain, *recompressed]
    assert measure([record for record, _ in pairs], Kept(*pairs)) == []


def test_a_library_that_computes_no_value_may_differ():
    plain = series({}, provenance={"packages": {"pillow": "11", "pandas": "2"}})
    _, *recompressed = series({75: (1, 0), 30: (20, 0)}, provenance={"packages": {"pillow": "11", "pandas": "3"}})
    assert one_bound(*plain, *recompressed)


def test_other_test_images_are_not_compared():
    plain = run_at(RIGHT, changes=FIXED, ids=np.arange(N) + 1)
    _, *recompressed = series({75: (1, 0), 30: (20, 0)})
    pairs = [plain, *recompressed]
    assert measure([record for record, _ in pairs], Kept(*pairs)) == []


def test_control_runs_are_left_out():
    assert bounds_of(*series({75: (1, 0), 30: (20, 0)}, protocol={"control": "shuffled training labels"})) == {}


def test_a_value_that_is_no_mean_over_images_has_no_bound():
    pairs = series({75: (1, 0), 30: (20, 0)})
    assert {"accuracy", "mean_class_accuracy"} <= pairs[0][0].values.keys()
    assert {key.value for key in bounds_of(*pairs)} == {"accuracy"}


def test_only_arrays_of_measured_runs_are_read():
    pairs = series({75: (1, 0), 30: (20, 0)})
    other = run_at(RIGHT, recipe="bcnn/fv_cnn_d@cub")
    kept = Kept(*pairs, other)
    find_bounds(kept.records, kept)
    assert sorted(kept.asked) == sorted(record.run_id for record, _ in pairs)
    assert bounds_of(other) == {}


def test_records_without_readable_arrays_give_no_bound():
    records = [record for record, _ in series({75: (1, 0), 30: (20, 0)})]
    assert find_bounds(records, lambda record: {}) == {}


def test_a_run_under_other_conditions_has_no_bound():
    pairs = series({75: (1, 0), 30: (20, 0)})
    bounds = bounds_of(*pairs)
    plain = pairs[0][0]
    assert bound_for([plain], "accuracy", bounds)
    assert bound_for([plain], "cmc@1", bounds) is None
    for fields in ({"profile": "frozen"}, {"settings": settings_at()}, {"weights": []}):
        assert (
            bound_for(
                [made(values={}, **{"settings": plain.settings, "protocol": plain.protocol, **fields})],
                "accuracy",
                bounds,
            )
            is None
        )
