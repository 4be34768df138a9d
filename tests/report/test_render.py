from html.parser import HTMLParser

import pytest
from test_records import record
from test_verdict import deviation

from fgbench.claims import check_claims
from fgbench.papers import load_papers
from fgbench.recipes import load_recipes
from fgbench.records import Point, Record
from fgbench.report.render import render
from fgbench.verdict import Obstacle, judge

PAPERS = load_papers()
RECIPES = {key: recipe.deterministic for key, recipe in load_recipes().items()}
VOID = {"meta", "br", "line", "polyline", "img", "link", "hr", "input"}
HOSTILE = "<script>alert(1)</script>\"'&"


def run(accuracy, seed=0, name="bcnn_dd", **fields):
    base, _ = record(run_id=f"{name}{seed}{accuracy}", recipe=f"bcnn/{name}@cub", seed=seed, synthetic=False)
    value = base["values"]["accuracy"].model_copy(update={"value": accuracy, "low": accuracy - 1, "high": accuracy + 1})
    protocol = {"train_sees": [], "test_sees": [], "classes": 200, "train_images": 5994, "test_images": 5794,
                "images": "i", "annotations": "a"}  # fmt: skip
    base |= {"values": {"accuracy": value}, "outputs": "x", "outputs_sha256": "y", "protocol": protocol}
    base["provenance"] = {"command": "fgbench run it", "finished": "2026-01-01", "packages": {"torch": "2"}}
    return Record.model_validate({**base, **fields})


def pages(tmp_path, records, obstacles=None, papers=PAPERS):
    verdicts = {n: [judge(c, records, obstacles or {}, RECIPES) for c in p.cells()] for n, p in papers.items()}
    index = render(papers, verdicts, check_claims(papers, records), records, tmp_path)
    return {path.stem: path.read_text() for path in index.parent.glob("*.html")}


class Parsed(HTMLParser):
    """Text by tag, and a complaint about every tag that is not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.wrong, self.tags, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def test_every_printed_number_stands_on_its_page(tmp_path):
    found = pages(tmp_path, [])
    for name, paper in PAPERS.items():
        text = found[name]
        values = [f"{c.value:g}" if c.unit != "%" else f"{c.value:.2f}".rstrip("0") for c in paper.cells()]
        printed = text.count('<span class="print">')
        assert printed == len(values)
        for value in values:
            assert f'<span class="print">{value.rstrip(".")}' in text


def test_without_records_nothing_is_measured(tmp_path):
    found = pages(tmp_path, [])
    assert "Nothing has been measured yet" in found["index"]
    assert 'class="got" title' not in found["bcnn"]
    assert "not run" in found["bcnn"]
    assert "nan" not in found["bcnn"].lower().replace("nanchor", "")


def test_measured_numbers_come_from_records_alone(tmp_path):
    one = pages(tmp_path, [run(83.97, s) for s in range(2)])["bcnn"]
    two = pages(tmp_path, [run(12.34, s) for s in range(2)])["bcnn"]
    assert "84.0" in one
    assert 'title="83.97">' in one
    assert 'title="12.34">12.3' in two
    assert "83.97" not in two


def test_synthetic_numbers_are_said_to_be_so_in_the_first_line_and_marked_each(tmp_path):
    found = pages(tmp_path, [run(84.0, s, synthetic=True, data="synthetic_birds") for s in range(3)])
    for name in ("index", "bcnn"):
        body = found[name].split("<body>")[1].strip()
        assert body.startswith('<p class="data synthetic">')
        assert "none of the measured numbers below answers a printed one" in body
    page = found["bcnn"]
    assert page.count('class="got" title') == page.count('class="badge aside" href="#cell-')
    assert "not comparable" in page
    assert '<span aria-hidden="true">●</span> reproduced' not in page


def test_real_numbers_name_the_data_and_its_deviations(tmp_path):
    odd = deviation("data.images", changes=False).model_copy(update={"run": "all of it recompressed"})
    found = pages(tmp_path, [run(84.0 + s / 20, s, deviations=[odd]) for s in range(3)])["bcnn"]
    first = Parsed(found.split("<nav")[0]).text
    assert "5,994 + 5,794 images of 200 classes; all of it recompressed" in first
    assert '<span aria-hidden="true">●</span> reproduced' in found


def test_cells_unfold_to_reason_seeds_deviations_cost_curve_command_and_provenance(tmp_path):
    curve = [Point(stage="one", epoch=e, loss=3.0 / e, accuracy=10.0 * e, wall_s=1) for e in (1, 2)]
    curve += [Point(stage="two", epoch=1, loss=0.5, accuracy=70.0, wall_s=1)]
    records = [run(80.0 + s, s, deviations=[deviation("stages.finetune.lr")], curve=curve) for s in range(2)]
    text = Parsed(pages(tmp_path, records)["bcnn"]).text
    for words in (
        "seed 0: 80.00, seed 1: 81.00", "stages.finetune.lr", "the official code's", "fgbench run it", "torch 2",
        "loss over 3 epochs (one then two): from 3 to 0.5", "differs from the recipe in stages.finetune.lr",
        "fgbench run bcnn/bcnn_dd --data cub --profile paper", "Energy",
    ):  # fmt: skip
        assert words in text


def test_energy_of_a_run_stands_with_what_it_lacks_or_the_reason_alone(tmp_path):
    for cost, says in (
        ({"energy_j": 1234.4}, "1234 J"),
        ({"energy_j": 1234.4, "energy_note": "without a part"}, "1234 J (without a part)"),
        ({"energy_note": "no GPU was used"}, "– no GPU was used"),  # noqa: RUF001
    ):
        record = run(84.0, cost={"wall_s": 1.0, "phase_s": {}, "peak_mib": 2.0} | cost)
        text = Parsed(pages(tmp_path, [record])["bcnn"]).text
        assert f" {says} 1 2026-01-01" in text


def test_blocked_cells_say_what_to_type(tmp_path):
    obstacle = {"bcnn/bcnn_dd@cub": Obstacle("weights: none of them is here", "fgbench weights get vgg16.matconvnet")}
    text = Parsed(pages(tmp_path, [], obstacle)["bcnn"]).text
    assert "weights: none of them is here" in text
    assert "fgbench weights get vgg16.matconvnet" in text


def test_hostile_names_stay_text(tmp_path):
    paper = PAPERS["bcnn"].model_copy(update={"title": HOSTILE, "authors": (HOSTILE,)})
    odd = deviation(HOSTILE).model_copy(update={"run": HOSTILE})
    records = [
        run(84.0, title=HOSTILE, deviations=[odd], provenance={"command": HOSTILE, "cpu": HOSTILE},
            curve=[Point(stage=HOSTILE, epoch=1, loss=1, accuracy=1, wall_s=1)])
    ]  # fmt: skip
    for text in pages(tmp_path, records, papers={**PAPERS, "bcnn": paper}).values():
        parsed = Parsed(text)
        assert "script" not in [tag for tag, _ in parsed.tags]
        assert not [a for _, attributes in parsed.tags for a in attributes if a.startswith("on")]
    assert "<script>alert(1)" in Parsed((tmp_path / "bcnn.html").read_text()).text


@pytest.mark.parametrize("records", [[], [run(84.0, s, synthetic=bool(s)) for s in range(2)]], ids=["none", "some"])
def test_pages_are_well_formed_self_contained_and_the_same_twice(tmp_path, records):
    one = pages(tmp_path / "a", records)
    assert one == pages(tmp_path / "b", records)
    assert set(one) == {"index", *PAPERS}
    for text in one.values():
        parsed = Parsed(text)
        assert parsed.wrong == []
        assert parsed.stack == []
        assert not [
            tag for tag, attributes in parsed.tags if "src" in attributes or tag in {"link", "script", "iframe"}
        ]
        assert "url(" not in text
        assert "@import" not in text
        ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        links = [attributes["href"][1:] for _, attributes in parsed.tags if attributes.get("href", "").startswith("#")]
        assert set(links) <= set(ids)


def search(seed, first):
    rates = {"cmc@1": first, "cmc@5": first + 20, "cmc@50": 99.0, "map/step": first / 2, "map/trapezoid": first / 2 - 1}
    values = {name: {"value": rate, "unit": "%", "n": 10} for name, rate in rates.items()}
    fields = {"recipe": "where_to_focus/spatial_lstm_dm@viper", "data": "viper", "split": f"{seed + 1}a, {seed + 1}b"}
    found = run(1.0, seed).model_dump() | fields | {"values": values, "title": "Where to Focus [D,M]"}
    found["protocol"] |= {"metrics": [["same camera", "removed"]]}
    return Record.model_validate(found)


def test_searches_are_drawn_as_a_curve_with_a_band_over_splits(tmp_path):
    found = pages(tmp_path, [search(0, 50.0), search(1, 60.0)])["where_to_focus"]
    parsed = Parsed(found)
    assert (parsed.wrong, parsed.stack) == ([], [])
    assert "mean of 2 runs, band from the least to the most: 55.0 at rank 1, 99.0 at rank 50" in found
    (band,) = [attributes for tag, attributes in parsed.tags if tag == "polygon"]
    heights = [float(point.split(",")[1]) for point in band["points"].split()]
    assert heights[0] < heights[-1]  # the most above the least
    assert "seed 0: 1a, 1b; seed 1: 2a, 2b" in parsed.text
    assert "same camera: removed" in parsed.text
    assert "least" in parsed.text
    assert "55.00" in parsed.text
    alone = pages(tmp_path / "one", [search(0, 50.0)])["where_to_focus"]
    assert "<polygon" not in alone
    assert "50.0 at rank 1" in alone
