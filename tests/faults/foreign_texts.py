"""Faults of text files that other programs or people wrote: papers, recipes, results of benchmarks, histories."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import bench_file
from faults.case import Case
from faults.reading import Damage, refuse, shortened, survive
from made_nights import bench

from fgbench.judge.nightly.benchmark_times import read_benchmark_times
from fgbench.judge.nightly.history import HISTORY_FILE, Night, append_night, read_history
from fgbench.papers.printed import load_papers, reproductions_root
from fgbench.papers.recipes import load_recipes
from fgbench.speed.bench_rows import read_session

NUMBER = b"9" * 5000
TOML: dict[str, Damage] = {
    "nested arrays": lambda text: text + b"\nx = " + b"[" * 5000 + b"]" * 5000,
    "nested tables": lambda text: text + b"\nx = " + b"{y = " * 300 + b"1" + b"}" * 300,
    "dotted keys": lambda text: b".".join([b"x"] * 3000) + b" = 1\n" + text,
    "dotted table": lambda text: text + b"\n[" + b".".join([b"x"] * 3000) + b"]\n",
    "5,000 digits": lambda text: b"x = " + NUMBER + b"\n" + text,
    "400 digits": lambda text: b"x = " + NUMBER[:400] + b"\n" + text,
    "no UTF-8": lambda text: text + b"# \xff\n",
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "zero byte": lambda text: text + b"\x00",
    "open string": lambda text: text + b'\nx = """',
    "key twice": lambda text: text + b"\nx = 1\nx = 2\n",
    "unknown key": lambda text: b"x = 1\n" + text,
    "long unknown key": lambda text: b"x" * 100_000 + b" = 1\n" + text,
    "long value": lambda text: b'id = "' + b"x" * 100_000 + b'"\n' + text,
    "empty": lambda text: b"",
}


def papers(folder: Path) -> Iterator[Case]:
    """Yield papers and recipes that are no TOML or have other content, FIFOs and folders."""
    shutil.copytree(reproductions_root() / "bcnn", folder / "bcnn")
    for name, load in (("paper.toml", load_papers), ("cub.toml", load_recipes)):
        path = folder / "bcnn" / name
        whole = path.read_bytes()

        def case(damage: Callable[[Path], object], path=path, whole=whole, load=load) -> None:
            path.unlink()
            try:
                damage(path)
                refuse(partial(load, folder))
            finally:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                path.write_bytes(whole)

        kind = f"TOML of a {'paper' if name == 'paper.toml' else 'data set'}"
        for change in TOML.values():
            yield kind, partial(case, lambda path, change=change, whole=whole: path.write_bytes(change(whole)))
        yield kind, partial(case, os.mkfifo)
        yield kind, partial(case, Path.mkdir)


def _replaced(old: bytes, new: bytes) -> Damage:
    def damage(content: bytes) -> bytes:
        assert old in content, old
        return content.replace(old, new, 1)

    return damage


JSON: dict[str, Damage] = {
    "empty": lambda text: b"",
    "no UTF-8": lambda text: b"\xff" + text,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "nested": lambda text: b"[" * 100_000,
    "nested and closed": lambda text: b"[" * 900 + b"]" * 900,
    "null": lambda text: b"null",
    "number": lambda text: NUMBER,
    "text after it": lambda text: text.rstrip() + b"}",
    "key twice": _replaced(b"{", b'{"x": 1, "x": 2, '),
    "half of a pair": _replaced(b"{", b'{"\\ud800": 1, '),
    "5,000 digits": _replaced(b"{", b'{"x": ' + NUMBER + b", "),
    "400 digits": _replaced(b"{", b'{"x": ' + NUMBER[:400] + b", "),
    "nested value": _replaced(b"{", b'{"x": ' + b"[" * 500 + b"]" * 500 + b", "),
}


def benchmarks(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Yield results of benchmarks that are no JSON or have values of other types, for both readers."""
    folder.mkdir(parents=True)
    path = folder / "b.json"
    whole = json.dumps(bench_file.content(bench_file.hot())).encode()
    values = [json.dumps(value).encode() for value in (None, [], {}, "x", 7, -1.0, True, float("nan"), 1e308, [[]])]
    fields = [b'"machine_info": {', b'"benchmarks": [', b'"extra_info": {', b'"stats": {', b'"median": 0.004']

    def case(damage: Damage, read: Callable[[], object], refused: bool) -> None:
        path.write_bytes(damage(whole))
        refuse(read) if refused else survive(read, None, may_differ=True)

    for read in (partial(read_benchmark_times, [path]), partial(read_session, path)):
        for damage in (*JSON.values(), *(shortened(rng) for _ in range(5))):
            yield "results of benchmarks", partial(case, damage, read, True)
        for field in fields:
            key, start = field.split(b": ")
            for value in values:
                # The old value remains under another key.
                damage = _replaced(field, key + b": " + value + b', "old": ' + start)
                yield "results of benchmarks", partial(case, damage, read, False)


def histories(folder: Path, rng: random.Random) -> Iterator[Case]:
    """Yield histories with a damaged line, and what is no file."""
    folder.mkdir(parents=True)
    for number in range(3):
        night = Night(
            finished=f"2026-01-0{number + 1}", commit="c", source="s", passed=True, accepted=False,
            values={"m": 50.0}, units={"m": "%"}, benches=(bench(),), failed=(),
        )  # fmt: skip
        append_night(folder, night)
    path = folder / HISTORY_FILE
    first, middle, last = path.read_bytes().splitlines(keepends=True)

    def case(damage: Damage) -> None:
        path.write_bytes(first + damage(middle.rstrip()) + b"\n" + last)
        refuse(partial(read_history, folder))

    fields = [b'"passed":true', b'"values":{"m":50.0}', b'"machine":"m"', b'"schema_version":1', b'"failed":[]']
    values = [b"null", b"[[]]", b'{"x":null}', b"NaN", b"1e999", NUMBER]
    damages = [*JSON.values(), *(shortened(rng) for _ in range(10))]
    damages += [_replaced(field, field.split(b":")[0] + b":" + value) for field in fields for value in values]
    for damage in damages:
        yield "history", partial(case, damage)
