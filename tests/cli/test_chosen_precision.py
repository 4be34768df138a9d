"""`--precision auto` and `--precision bf16-mixed` on machines on which a probe gives one gain or another."""

import pytest
from command_line import answer_of, run

import fgbench
from fgbench.cli import chosen_precision, estimates
from fgbench.cli.chosen_precision import GAIN, check_auto, with_precision
from fgbench.runs.executors.runner import Result
from fgbench.runs.run import Changes
from fgbench.speed.machine_rates import ASSUMED_HOST, gpu_rates
from fgbench.util.errors import FgbenchError

FULL, HALF = "32-true", "bf16-mixed"

CONTINUE = "; to continue these runs, use --precision bf16-mixed"


@pytest.fixture
def gain_of(monkeypatch):
    """Sets the gain of the probe; gives the arguments of its calls."""

    def set_gain(gain):
        calls = []
        monkeypatch.setattr(chosen_precision, "bfloat16_gain", lambda *given: calls.append(given) or gain)
        return calls

    return set_gain


@pytest.fixture
def plans(monkeypatch):
    """The plans that would be executed."""
    taken = []
    monkeypatch.setattr(
        "fgbench.cli.run_requests.runner.run_plan", lambda plan, *_, **__: taken.append(plan) or Result(0, 0, ())
    )
    return taken


@pytest.mark.parametrize(
    ("gain", "chosen", "line"),
    [
        (2.04, HALF, f"precision bf16-mixed: 2.0 times as fast as 32-true in a probe of this processor{CONTINUE}"),
        (GAIN, HALF, f"precision bf16-mixed: 1.3 times as fast as 32-true in a probe of this processor{CONTINUE}"),
        (
            1.24,
            FULL,
            "precision 32-true: bf16-mixed is 1.2 times as fast as 32-true in a probe of this processor; auto "
            "requires at least 1.3 times",
        ),
    ],
)
def test_auto_follows_the_probe_and_says_why(gain, chosen, line, gain_of, plans, tmp_path):
    calls = gain_of(gain)
    arguments = ("run", "bcnn/bcnn_dd", "--profile", "quick", "--results", str(tmp_path))
    code, text = run(*arguments, "--precision", "auto")
    assert code == 0
    assert line in text.splitlines()
    assert calls == [("cpu", 1)]
    run(*arguments, "--precision", chosen)
    run(*arguments)
    auto, named, default = ([planned.id for planned in plan.runs] for plan in plans)
    assert auto == named
    assert (auto == default) == (chosen == FULL)
    assert {planned.settings.precision for planned in plans[0].runs} == {chosen}


@pytest.mark.parametrize(("gain", "remarks"), [(0.5, 1), (1.1, 0), (3.0, 0)])
def test_a_named_bfloat16_is_kept_with_a_remark_where_it_is_slower(gain, remarks, gain_of):
    gain_of(gain)
    lines = []
    assert with_precision(Changes(precision=HALF), "cpu", 1, lines.append) == Changes(precision=HALF)
    assert lines == [
        "precision bf16-mixed is slower here: 0.5 times as fast as 32-true in a probe of this processor"
    ] * (remarks)


@pytest.mark.parametrize(
    ("precision", "device"), [(None, "cpu"), (FULL, "cpu"), (HALF, "cuda"), (None, "cuda"), ("bf16", "cpu")]
)
def test_nothing_is_probed_without_need(precision, device, gain_of):
    calls, lines = gain_of(1.0), []
    assert with_precision(Changes(precision=precision), device, 4, lines.append) == Changes(precision=precision)
    assert calls == lines == []


def test_auto_on_a_gpu_probes_the_gpu(gain_of):
    calls, lines = gain_of(8.0), []
    assert with_precision(Changes(precision="auto"), "cuda", 4, lines.append).precision == HALF
    assert calls == [("cuda", 4)]
    assert lines == [f"precision bf16-mixed: 8.0 times as fast as 32-true in a probe of this GPU{CONTINUE}"]


@pytest.mark.parametrize("options", [("--executor", "ray"), ("--dry-run", "--gpu", "h100")])
def test_auto_is_refused_for_another_machine(options, gain_of, tmp_path):
    calls = gain_of(2.0)
    code, text = run("run", "bcnn/bcnn_dd", "--precision", "auto", *options, "--results", str(tmp_path))
    assert code != 0
    assert "--precision auto probes this machine, which does not execute the runs\n  --precision bf16-mixed" in text
    assert calls == []


def test_auto_is_refused_for_several_processes(monkeypatch):
    check_auto("auto", is_here=True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_auto(HALF, is_here=False)
    with pytest.raises(FgbenchError, match="those of torchrun need the same precision"):
        check_auto("auto", is_here=True)


def test_an_unknown_precision_is_refused_with_the_nearest_one(gain_of):
    gain_of(1.0)
    code, text = run("run", "bcnn/bcnn_dd", "--profile", "quick", "--precision", "bf16")
    assert code != 0
    assert "no precision 'bf16'; did you mean 'bf16-mixed'" in text


def test_a_dry_run_estimates_in_the_chosen_precision(gain_of, monkeypatch, tmp_path):
    gain_of(2.0)
    measured = []
    monkeypatch.setattr(estimates, "measure_device", lambda *given: measured.append(given) or gpu_rates("h100"))
    monkeypatch.setattr(estimates, "measure_host", lambda *_: ASSUMED_HOST)
    monkeypatch.setenv("FGBENCH_WEIGHTS", str(tmp_path / "none"))
    arguments = ("run", "bcnn/bcnn_dd", "--profile", "frozen", "--dry-run", "--results", str(tmp_path))
    code, text = run(*arguments, "--precision", "auto")
    assert code == 0
    assert "precision bf16-mixed: 2.0 times as fast as 32-true" in text
    fast, slow = (answer_of(*arguments, *more, "--json")[1] for more in (("--precision", "auto"), ()))
    assert [bf16 for _, _, bf16 in measured] == [True, True, False]
    first, second = (answer["blocked"][0]["expected"]["part_s"]["arithmetic"] for answer in (fast, slow))
    assert first < 0.5 * second


def test_the_function_run_resolves_auto(gain_of, tmp_path, monkeypatch):
    gain_of(2.0)
    steps = []
    monkeypatch.setattr("fgbench.cli.functions._executed", lambda plan, *_: [plan.runs[-1]])
    planned = fgbench.run(
        "bcnn/bcnn_mm", profile="quick", precision="auto", results=tmp_path, report=lambda what, _: steps.append(what)
    )
    assert planned.settings.precision == HALF
    assert f"precision bf16-mixed: 2.0 times as fast as 32-true in a probe of this processor{CONTINUE}" in steps
