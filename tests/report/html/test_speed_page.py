import json

import pytest
from bench_file import content, everything, frames, hot, scaling, write
from made_records import RECIPES
from report_pages import HOSTILE, PAPERS, Parsed, only_our_script

from fgbench.judge.claims import check_claims
from fgbench.judge.verdict import judge
from fgbench.report.html.render import render
from fgbench.report.html.speed_page import duration, rate, speed_page
from fgbench.speed.bench_rows import read_session
from fgbench.speed.processor import IN_MACHINE_INFO, this_processor


def pages(tmp_path, *contents):
    tmp_path.mkdir(exist_ok=True)
    sessions = [read_session(write(tmp_path / f"b{k}.json", whole)) for k, whole in enumerate(contents)]
    verdicts = {n: [judge(c, [], {}, RECIPES) for c in p.cells()] for n, p in PAPERS.items()}
    speed = speed_page(sessions) if sessions else None
    index = render(
        PAPERS, verdicts, check_claims(PAPERS, [], lambda record: {}, RECIPES), [], tmp_path / "out", speed=speed
    )
    return {path.stem: path.read_text() for path in index.parent.glob("*.html")}


def rows(page, heading):
    """Return the texts of the rows of the tables after a heading, after the caption if the table has one."""
    part, texts = page.split(f'id="{heading}"')[1].split("<h2")[0], []
    for table in part.split("<table")[1:]:
        caption = table.split("<caption>")[1].split("</caption>")[0] if "<caption>" in table else ""
        body = table.split("<tbody>")[1].split("</tbody>")[0]
        for row in body.split("<tr>")[1:]:
            cells = Parsed(row.replace("<td", " | <td")).text.split(" | ")
            texts.append([caption, *(cell.strip() for cell in cells)] if caption else [cell.strip() for cell in cells])
    return texts


def test_without_benchmarks_there_is_no_page_and_no_link(tmp_path):
    written = pages(tmp_path)
    assert "speed" not in written
    assert "speed.html" not in written["index"]


def test_hot_paths_have_a_row_per_peer_with_the_requirement(tmp_path):
    limited = hot("ranking", 0.7, times_as_fast_as={"sklearn": 40.0}, at_least={}, at_most_s=0.5, times_floor=None)
    alone = hot("drawing", 2.0, times_as_fast_as={}, at_least={}, times_floor=None)
    values = {"values": {"peak_mib": 3387.0, "cores_busy": 1.7}, "values_at_most": {"peak_mib": 2048.0},
              "values_at_least": {"cores_busy": 1.6}}  # fmt: skip
    report = hot("report", 12.0, times_as_fast_as={}, at_least={}, times_floor=None, **values)
    cells = rows(pages(tmp_path, content(hot(), limited, alone, report))["speed"], "hot")
    assert cells == [
        ["compact bilinear pooling", "an FFT a location", "4 ms", "15.6", "at least 15 ● met", "4.1", "1"],
        ["compact bilinear pooling", "one inverse FFT", "4 ms", "9.6", "at least 10 ▼ missed", "4.1", "1"],
        ["ranking", "sklearn", "700 ms", "40", "–", "–", "1"],  # noqa: RUF001
        ["ranking", "–", "700 ms", "–", "at most 500 ms ▼ missed", "–", "1"],  # noqa: RUF001
        ["drawing", "–", "2 s", "–", "–", "–", "1"],  # noqa: RUF001
        ["report", "–", "12 s", "–", "peak_mib 3387, at most 2048 ▼ missed", "–", "1"],  # noqa: RUF001
        ["report", "–", "12 s", "–", "cores_busy 1.7, at least 1.6 ● met", "–", "1"],  # noqa: RUF001
    ]


def test_the_instructions_of_the_processor_stand_beside_it(tmp_path):
    features = this_processor().model_copy(update={"has": ("AVX2",), "torch": "AVX2", "limits": {"X": "y"}})
    machine = content()["machine_info"] | {IN_MACHINE_INFO: features.model_dump(mode="json")}
    text = Parsed(pages(tmp_path, content(hot(), machine_info=machine))["speed"]).text
    assert f"Fake Xeon, 2 cores ({features.features}); Linux" in text
    assert "(AVX2, no AVX-512, no AMX; torch uses AVX2, NumPy " in text


def test_frames_have_conditions_quartiles_bound_energy_and_printed_value(tmp_path):
    page = pages(tmp_path, everything())["speed"]
    text = Parsed(page).text
    cpu, gpu, training = rows(page, "frames")
    conditions = "Some CPU, 2 threads, fp32, channels last, from pixels"
    dash = "–"  # noqa: RUF001
    assert cpu == [conditions, "B-CNN [D,M]", "1.7", "1", "1.6 to 1.8", "448", "69 % of 2.5", dash, "812", "8.0"]
    assert gpu == [
        "NVIDIA H200, bf16, compiled (default), channels last, from pixels",
        "B-CNN [D,M] clocks reduced by power cap; tried 32: 2000, 64: 2346, 128: out of memory; "
        "a batch of 128 did not fit in memory; scores differ from fp32 by 1.2%",
        *("2346", "64 (best)", "2300 to 2400", "448", "59 % of 4000", "0.25 0.24 to 0.26; 589 W", "812", "8.0"),
    ]
    assert training[:2] == [f"training step, {conditions}", "B-CNN [M,M]"]
    assert "Reasons for missing energy: no GPU was used." in text
    assert "Sources of the printed values: frames/s, Tesla K40; the talk." in text
    assert "GPU board from its own counter" in text
    assert "138 GFLOP per image; the device reached 345 GFLOP/s and 20 GB/s; limited by operations" in page
    assert "no CUDA device" not in text


def test_each_set_of_conditions_has_a_table(tmp_path):
    odd = [{}, {"decode": True}, {"dtype": "tf32"}, {"threads": 1}, {"layout": "NCHW"}, {"device": "Other"}]
    cells = rows(pages(tmp_path, content(*[frames(**fields) for fields in odd], frames("again")))["speed"], "frames")
    captions = [row[0] for row in cells]
    assert len(set(captions)) == len(odd)
    assert [row[1] for row in cells if row[0] == captions[0]] == ["B-CNN [D,M]", "again"]
    assert "Some CPU, 2 threads, fp32, channels last, from files" in captions
    assert "Some CPU, 1 thread, fp32, channels last, from pixels" in captions


def test_without_a_gpu_the_page_says_so_and_has_no_joule(tmp_path):
    text = Parsed(pages(tmp_path, content(frames()))["speed"]).text
    assert "There are no rows for a GPU, because there was no CUDA device." in text
    assert " W)" not in text


@pytest.mark.parametrize("missing", ["gflop_per_image", "bound_fps", "peak_gflop_per_s", "bandwidth_gb_per_s"])
def test_missing_numbers_are_dashes(tmp_path, missing):
    page = pages(tmp_path, content(frames(**{missing: None}), frames(joule_per_image=1.5, joule_low=1.4)))["speed"]
    assert "None" not in page
    assert "1.4 to –" in Parsed(page).text  # noqa: RUF001


@pytest.mark.parametrize(
    ("fields", "says"),
    [({"steady": False}, "not steady"), ({"share_of_bound": 1.3}, "the device was busy when its rates were measured")],
)
def test_unusual_measurements_have_a_remark(tmp_path, fields, says):
    assert says in Parsed(pages(tmp_path, content(frames(**fields)))["speed"]).text
    assert says not in Parsed(pages(tmp_path, content(frames()))["speed"]).text


def test_curves_are_drawn_on_logarithmic_axes_with_their_exponent(tmp_path):
    points = [scaling(at, seconds) for at, seconds in ((4000, 0.4), (1000, 0.1), (2000, 0.2))]
    page = pages(tmp_path, content(*points))["speed"]
    spec = json.loads(page.split('<script type="application/json">')[1].split("</script>")[0])
    (rows,) = spec["datasets"].values()
    assert [(row["x"], row["y"]) for row in rows] == [(1000, 0.1), (2000, 0.2), (4000, 0.4)]
    assert [spec["layer"][0]["encoding"][axis]["scale"]["type"] for axis in "xy"] == ["log", "log"]
    text = Parsed(page).text
    assert "exponent 1.07 (0.98 to 1.16); expected 1 to 1.1" in text
    assert "gallery images 1000 to 4000: 100 ms to 400 ms, exponent 1.07" in page


def test_a_curve_of_two_points_has_no_exponent(tmp_path):
    points = [scaling(at, 0.1, exponent=None, exponent_low=None, exponent_high=None) for at in (1, 2)]
    page = pages(tmp_path, content(*points))["speed"]
    assert "too few points for an exponent" in page
    assert "nan" not in page


def test_files_of_one_session_name_their_machine_once(tmp_path):
    other = content(hot(), machine_info={"system": "Linux", "cpu": {"brand_raw": "Another CPU"}})
    sessions = []
    for name, whole in (("a", content(hot())), ("b", content(hot())), ("c", other)):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(whole))
        sessions.append(read_session(path))
    files = [*speed_page(sessions).files_by_session.values()]
    assert files == [["a.json", "b.json"], ["c.json"]]


def test_rows_name_their_machine_if_the_machines_differ(tmp_path):
    one = pages(tmp_path / "a", content(hot()))["speed"]
    assert one.count("Fake Xeon, 2 cores") == 2  # the first line, and the file
    two = pages(tmp_path / "b", content(hot()), content(hot("other"), cpu="Other CPU"))["speed"]
    assert "Timed on Fake Xeon, 2 cores and Other CPU, 2 cores" in Parsed(two).text
    assert rows(two, "hot")[-1][-1] == "Other CPU, 2 cores"


def test_each_file_has_its_own_curve(tmp_path):
    files = [content(*[scaling(at, at * slow) for at in (1, 2, 4)]) for slow in (0.1, 0.3)]
    page = pages(tmp_path, *files)["speed"]
    assert page.count('<figure class="chart">') == 2


def test_pages_link_to_each_other_are_well_formed_and_the_same_twice(tmp_path):
    one, two = pages(tmp_path / "a", everything()), pages(tmp_path / "b", everything())
    assert one == two
    for name, text in one.items():
        parsed = Parsed(text)
        assert (parsed.wrong, parsed.stack) == ([], [])
        assert 'href="speed.html"' in text
        assert ("aria-current" in text.split('href="speed.html"')[1].split(">")[0]) == (name == "speed")
        assert {attributes["src"] for _, attributes in parsed.tags if "src" in attributes} <= {"charts.js"}
        assert "link" not in [tag for tag, _ in parsed.tags]
        assert only_our_script(text)
    assert "hot paths compared with peers (1), frames per second (3), scaling (1)" in one["index"]


def test_hostile_names_stay_text(tmp_path):
    whole = json.loads(json.dumps(everything()))
    for entry in whole["benchmarks"]:
        entry["group"] = HOSTILE
        info = entry["extra_info"]
        for key in ("method", "device", "dtype", "layout", "compiled", "stopped", "energy_note", "bound_by", "peak_of",
                    "paper_source", "curve", "axis", "expected", "floor_counts"):  # fmt: skip
            if key in info:
                info[key] = HOSTILE
        if "times_as_fast_as" in info:
            info["times_as_fast_as"] = {HOSTILE: 2.0}
        if "held_down_by" in info:
            info["held_down_by"] = [HOSTILE]
    whole["machine_info"] |= {"system": HOSTILE, "python_version": HOSTILE, "cpu": {"brand_raw": HOSTILE}}
    whole["commit_info"]["id"] = HOSTILE
    whole["datetime"] = HOSTILE
    for text in pages(tmp_path, whole).values():
        parsed = Parsed(text)
        assert (parsed.wrong, parsed.stack) == ([], [])
        assert only_our_script(text)
        assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]


def test_numbers_are_short_and_their_units_fit():
    assert [rate(v) for v in (0.1234, 1.72, 19.96, 87.3, 2345.6)] == ["0.12", "1.7", "20.0", "87", "2346"]
    assert [duration(v) for v in (2.5, 0.0123, 4.2e-5)] == ["2.5 s", "12.3 ms", "42 µs"]
