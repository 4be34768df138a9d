"""Drawn charts are kept in the cache folder, and a report needs no cache folder."""

import os
import time

import pytest

from fgbench.report.html import drawn_charts
from fgbench.report.html.drawn_charts import UNUSED_S, drawn


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FGBENCH_CACHE", str(tmp_path / "cache"))
    drawn_charts._remove_unused.cache_clear()
    return tmp_path / "cache"


def counting():
    """Return a function that draws, and the list of what it drew."""
    sources = []

    def draw(source):
        sources.append(source)
        return f"<svg>{source}é</svg>"

    return draw, sources


def test_a_chart_is_drawn_once(cache):
    draw, sources = counting()
    assert [drawn("a", draw), drawn("b", draw), drawn("a", draw)] == ["<svg>aé</svg>", "<svg>bé</svg>", "<svg>aé</svg>"]
    assert sources == ["a", "b"]


def test_another_version_draws_again(cache, monkeypatch):
    draw, sources = counting()
    drawn("a", draw)
    monkeypatch.setattr(drawn_charts, "VERSION", "0")
    drawn("a", draw)
    assert sources == ["a", "a"]


def test_a_damaged_or_unused_drawing_is_drawn_again(cache):
    draw, sources = counting()
    drawn("a", draw)
    (file,) = (cache / "charts").iterdir()
    file.write_bytes(b"\xff")
    assert drawn("a", draw) == "<svg>aé</svg>"
    old = time.time() - UNUSED_S - 1
    os.utime(file, (old, old))
    drawn_charts._remove_unused.cache_clear()
    drawn("b", draw)
    assert not file.exists()
    assert sources == ["a", "a", "b"]


def test_without_a_home_folder_charts_are_drawn(cache, monkeypatch):
    draw, sources = counting()
    monkeypatch.setenv("FGBENCH_CACHE", "~nobody-of-this-name/cache")
    assert drawn("a", draw) == drawn("a", draw) == "<svg>aé</svg>"
    assert sources == ["a", "a"]


def test_a_file_in_the_place_of_the_cache_folder_costs_only_time(cache):
    draw, sources = counting()
    cache.write_text("")
    assert drawn("a", draw) == drawn("a", draw) == "<svg>aé</svg>"
    assert sources == ["a", "a"]
