"""Rows of pytest-benchmark from races, and a table of all races after the session.

Benchmarks measure: without `--check` no time, ratio or memory fails a session, and the table shows what is asked and
what was reached. With `--check`, a race fails if it does not reach what is asked.
"""

import statistics
from collections.abc import Callable, Iterator, Sequence

import pytest
from race import FGBENCH, Race, Requirement

from fgbench.speed.processor import this_processor
from fgbench.speed.result_file import machine_fields

_RACES: list[Race] = []
"""Races of this session."""


class Replay:
    """A clock for pytest-benchmark that replays times measured elsewhere."""

    __name__ = "perf_counter"

    def __init__(self) -> None:
        self.samples: Iterator[float] = iter(())
        self._now, self._running = 0.0, False

    def __call__(self) -> float:
        """Return seconds; every second call adds the time of the next round."""
        if self._running:
            self._now += next(self.samples)
        self._running = not self._running
        return self._now


CLOCK = Replay()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options `--check` and `--nightly`."""
    parser.addoption(
        "--check", action="store_true", help="fail if a time, a ratio or a memory is not what the benchmark asks for"
    )
    parser.addoption("--nightly", action="store_true", help="time fgbench without peers, for comparison between nights")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, object]) -> None:
    """Record the version of torch and the instructions of the processor."""
    machine_info.update(machine_fields())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give rows of races the clock that replays the times of their race."""
    for item in items:
        if "row" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.benchmark(timer=CLOCK))


@pytest.fixture
def row(benchmark, request: pytest.FixtureRequest) -> Callable[[Race, str], None]:
    """Return a function that reports one entrant of a race; with `--check`, that of fgbench fails if it misses."""

    def report(race: Race, name: str) -> None:
        if benchmark.disabled:
            benchmark.pedantic(race.entrants[name]())
            return
        if request.config.getoption("nightly", default=False):
            if name != FGBENCH:
                pytest.skip("--nightly times fgbench only")
            race.alone()
        outcome = race.run()
        if race not in _RACES:
            _RACES.append(race)
        if name in outcome.absent:
            pytest.skip(outcome.absent[name])
        benchmark.group = race.title
        samples = outcome.samples[name]
        CLOCK.samples = iter(samples)
        benchmark.pedantic(lambda: None, rounds=len(samples))
        benchmark.extra_info |= {
            "version": race.version,
            "entrant": name,
            "threads": race.threads,
            "processor": str(this_processor()),
            "reference_s": statistics.median(outcome.references[name]),
            "times_reference": outcome.relative(name),
            "rounds_of_reference": outcome.relatives(name),
        }
        if name in race.parts:
            benchmark.extra_info["scaled"] = f"measured on {race.parts[name]:.2%} of the work"
        if name == FGBENCH:
            benchmark.extra_info |= _comparison(race)
            missed = [str(requirement) for requirement in race.requirements() if not requirement.met]
            if missed and request.config.getoption("check", default=False):
                pytest.fail(f"{race.title}: {'; '.join(missed)}", pytrace=False)

    return report


def _comparison(race: Race) -> dict[str, object]:
    """Return the fields that compare fgbench with its peers, its threshold and the floor."""
    outcome = race.run()
    peers = [name for name in outcome.samples if name != FGBENCH]
    fields: dict[str, object] = {
        "times_as_fast_as": {name: outcome.ratio(name) for name in peers},
        "at_least": dict(race.at_least),
        "values": dict(race.values(outcome.results[FGBENCH])),
        "values_at_most": dict(race.values_at_most),
        "values_at_least": dict(race.values_at_least),
    }
    if race.at_most_s is not None:
        fields["at_most_s"] = race.at_most_s
    if race.floor:
        floor = race.floor.seconds(race.threads)
        fields |= {
            "floor_s": floor,
            "times_floor": outcome.median_s(FGBENCH) / floor,
            "floor_counts": race.floor.counts,
        }
    return fields


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the processor, and a table of the races: fgbench, each peer, what is asked and reached, and the floor."""
    lines = [line for race in _RACES for line in _lines(race)]
    if not lines:
        return
    references = [seconds for race in _RACES for times in race.run().references.values() for seconds in times]
    heads = ("path", "compared by", "fgbench", "quartiles", "peer", "reached", "asked", "", "times floor")
    terminalreporter.section("hot paths")
    terminalreporter.write_line(str(this_processor()))
    terminalreporter.write_line(
        f"reference workload: {_seconds(statistics.median(references))} (quartiles {_quartiles(references)})"
    )
    write_table(terminalreporter, [heads, *lines])


def write_table(terminalreporter: pytest.TerminalReporter, lines: Sequence[tuple[str, ...]]) -> None:
    """Print lines as columns."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        words = (word.ljust(width) for word, width in zip(line, widths, strict=True))
        terminalreporter.write_line("  ".join(words).rstrip())


def _lines(race: Race) -> Iterator[tuple[str, ...]]:
    """Return a line for each peer and for each other number that is asked for."""
    outcome = race.run()
    own = _seconds(outcome.median_s(FGBENCH)), _quartiles(outcome.samples[FGBENCH])
    floor = f"{outcome.median_s(FGBENCH) / race.floor.seconds(race.threads):.1f}" if race.floor else "-"
    asked = {requirement.what: requirement for requirement in race.requirements()}
    for peer in race.names[1:]:
        least = f"at least {race.at_least[peer]:g}" if peer in race.at_least else "-"
        if peer in outcome.absent:
            yield race.title, peer, *own, "not measured", "-", least, "", floor
            continue
        requirement = asked.pop(f"times as fast as {peer}", None)
        peer_time, ratio = _seconds(outcome.median_s(peer)), f"{outcome.ratio(peer):.3g} times as fast"
        yield race.title, peer, *own, peer_time, ratio, least, _mark(requirement), floor
    for requirement in asked.values():
        show = _seconds if requirement.what == "seconds" else "{:.4g}".format
        limit = f"at {'least' if requirement.at_least else 'most'} {show(requirement.asked)}"
        yield race.title, requirement.what, *own, "-", show(requirement.reached), limit, _mark(requirement), floor
    if len(race.names) == 1 and not asked:
        yield race.title, "-", *own, "-", "-", "-", "", floor


def _mark(requirement: Requirement | None) -> str:
    return "missed" if requirement and not requirement.met else ""


def _quartiles(times_s: Sequence[float]) -> str:
    low, _, high = statistics.quantiles(times_s, n=4) if len(times_s) > 1 else (times_s[0],) * 3
    return f"{_seconds(low)} to {_seconds(high)}"


def _seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"
