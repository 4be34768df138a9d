import re
from types import SimpleNamespace

import mini
import pytest
from command_line import run
from made_records import RECIPES, Kept, deviation
from recompressed_runs import FIXED, RIGHT, interval, run_at, series

from fgbench.cli import run_requests, sensitivity_output
from fgbench.cli.console import Answer
from fgbench.cli.sensitivity_output import parse_qualities
from fgbench.records.store import store_of
from fgbench.util.errors import FgbenchError


@pytest.fixture
def mini_recipes(monkeypatch):
    """Let recipes run on few synthetic birds, in this process, which knows them."""
    monkeypatch.setattr(run_requests, "choose_recipes", lambda data, names: [mini.recipe(name) for name in names])
    monkeypatch.setattr("fgbench.runs.executors.runner.processes", lambda: 2)


def sensitivity(folder, *arguments):
    return run("sensitivity", *arguments, "--profile", "quick", "--jobs", "1", "--results", str(folder))


def test_qualities_are_sorted():
    assert parse_qualities("30, 75,50") == (75, 50, 30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,50", "'0' is not a JPEG quality from 1 to 95"),
        ("96,50", "'96' is not"),
        ("75,x", "'x' is not"),
        ("75;50", "'75;50' is not"),
        ("75,5.5", "'5.5' is not"),
        ("75,,50", "'' is not"),
        ("50,30,50", "the quality 50 is there twice"),
        ("30", "at least 2 qualities"),
        ("95,75,51", "a quality of at most 50"),
    ],
)
def test_wrong_qualities_are_named_with_the_next_thing_to_type(text, message, tmp_path):
    with pytest.raises(FgbenchError) as raised:
        parse_qualities(text)
    assert raised.value.hint == "--recompress 75,50,30"
    code, printed = sensitivity(tmp_path, "bcnn/fv_sift", "--recompress", text)
    assert code
    assert message in printed
    assert not list(tmp_path.iterdir())


def test_a_recipe_is_run_plain_and_at_every_quality(mini_recipes, tmp_path):
    code, text = sensitivity(tmp_path, "fv_sift", "--recompress", "75,20", "--size", "32")
    assert code == 0, text
    assert "3 runs done, 0 kept" in text
    titles = {record.title for record in store_of(tmp_path).records()}
    assert titles == {"FV-SIFT", "FV-SIFT, recompressed to quality 75", "FV-SIFT, recompressed to quality 20"}
    table = text[text.index("accuracy of FV-SIFT (quick)") :]
    for words in ("as they are", "quality 75", "quality 20", "trend: the effect changes by"):
        assert words in table
    # One seed does not show the spread over seeds.
    assert "no bound: the values depend on the seed, and no run has a second seed" in table
    assert "add --seeds 3" in table
    assert table.count("printed 18.8 %: not comparable: measured on synthetic data") == 1  # another paper cites it
    # Finished runs are kept.
    code, text = sensitivity(tmp_path, "fv_sift", "--recompress", "75,20", "--size", "32")
    assert code == 0, text
    assert "0 runs done, 3 kept" in text


def measured():
    with Answer(as_json=False) as answer:
        return sensitivity_output.run_and_measure(None, None, answer)


def use_store(monkeypatch, kept, records, left_out):
    """Let the command read these records."""
    store = SimpleNamespace(
        usable_records=lambda: (records, left_out), outputs=kept, unusable_ids=lambda records: set()
    )
    monkeypatch.setattr(sensitivity_output, "store_of", lambda results: store)


def shown(monkeypatch, capsys, *pairs, code=0, left_out=()):
    """Return the exit code and the output for these runs instead of new ones."""
    kept = Kept(*pairs)
    plan = SimpleNamespace(runs=[SimpleNamespace(id=r.run_id, recipe=RECIPES[r.recipe]) for r in kept.records])
    ended = SimpleNamespace(plan=plan, result=None, exit_code=code, prints=True)
    monkeypatch.setattr(sensitivity_output, "run_recipes", lambda request, results: ended)
    for name in ("give_results", "give_next"):
        monkeypatch.setattr(sensitivity_output, name, lambda *_: None)
    use_store(monkeypatch, kept, kept.records, list(left_out))
    code = measured()
    return code, capsys.readouterr().out


def test_effects_trend_bound_and_verdicts_are_printed(monkeypatch, capsys):
    pairs = series({75: (2, 1), 30: (30, 10)})
    code, text = shown(monkeypatch, capsys, *pairs)
    assert code == 0
    low, high = interval(30, 10, 2)
    assert re.search(r"as they are +70.00 +1\b", text)
    assert re.search(r"quality 75 +69.90 +-0.10 .* 2 +1 +1\b", text)
    assert re.search(rf"quality 30 +68.00 +-2.00 +{low:.2f} to {high:.2f} +30 +10 +1\b", text)
    assert f"bound: {-low:.2f} points. The unknown compression is assumed" in text
    assert "B-CNN [D,D]" in text
    assert "B-CNN [D,D], birds, w/ ft, printed 84 %: " in text
    assert "context" not in text


def test_a_verdict_on_other_runs_is_marked(monkeypatch, capsys):
    pairs = series({75: (2, 1), 30: (30, 10)}, profile="frozen", deviations=[deviation("stages")])
    better, _ = run_at(RIGHT, changes=FIXED)
    _, text = shown(monkeypatch, capsys, *pairs)
    assert "the run is another experiment" in text
    assert "other runs than the measured ones" not in text
    kept = Kept(*pairs)
    use_store(monkeypatch, kept, [*kept.records, better], [])
    assert measured() == 0
    assert "the verdict is on other runs than the measured ones" in capsys.readouterr().out


def test_the_exit_code_is_that_of_the_runs_and_of_the_records(monkeypatch, capsys):
    pairs = series({75: (2, 1), 30: (30, 10)})
    assert shown(monkeypatch, capsys, *pairs, code=1)[0] == 1
    code, text = shown(monkeypatch, capsys, *pairs, left_out=["x.json is damaged"])
    assert code == 1
    assert "left out: x.json is damaged" in text
    code, text = shown(monkeypatch, capsys, pairs[1])
    assert code == 1
    assert "nothing was measured" in text


def test_without_data_nothing_is_measured(tmp_path):
    code, text = run("sensitivity", "bcnn/fv_sift", "--profile", "paper", "--results", str(tmp_path))
    assert code == 1
    assert text.count("blocked: bcnn/fv_sift@cub") == 1
    assert "fgbench data get cub" in text
    assert "nothing was measured" in text
