"""A report with content on every page, and a report whose names try to inject scripts."""

import io

import numpy as np
from bench_file import everything, write
from made_records import RECIPES, Kept, deviation, made, of_accuracy, of_right, weights_of
from PIL import Image

from fgbench.judge.anomaly import Anomaly
from fgbench.judge.claims import check_claims
from fgbench.judge.columns import judge_papers
from fgbench.judge.nightly.benchmark_times import BenchmarkTimes
from fgbench.judge.nightly.history import Night
from fgbench.papers.printed import load_papers
from fgbench.records.record import Point, Weights
from fgbench.report.html.history_page import history_page
from fgbench.report.html.render import render
from fgbench.report.html.speed_page import speed_page
from fgbench.speed.bench_rows import read_session
from fgbench.util.errors import Obstacle

PAPERS = load_papers()
MACHINE = {
    "command": "fgbench reproduce cub --profile paper", "fgbench": "0.1.0", "source": "563eb159b2ad9ef2",
    "commit": "ad8055a257ae0a3c67d26ed89f285d550dccaa03", "dirty": True, "python": "3.12.1", "cpu": "AMD EPYC 9354",
    "platform": "Linux-6.1-x86_64-with-glibc2.36", "cores": 32, "threads": 8, "processes": 1, "device": "NVIDIA H200",
    "packages": {"torch": "2.13.0", "torchvision": "0.28.0", "timm": "1.0.31", "numpy": "2.4.6"},
    "started": "2026-11-20T09:16:48+00:00", "finished": "2026-11-20T11:17:15+00:00",
}  # fmt: skip
CURVE = [Point(stage="one", epoch=e, loss=3.0 / e, accuracy=10.0 * e, wall_s=1) for e in (1, 2, 3)]
CURVE += [Point(stage="two", epoch=e, loss=0.9 / e, accuracy=60 + 10.0 * e, wall_s=1) for e in (1, 2)]
SYNTHETIC = {"synthetic": True, "data": "synthetic_birds", "profile": "quick"}
KINDS = "<script>parent.ran = ran = 1</script>", "</script>", "\"'><img src=x onerror=ran=1>", "javascript:ran=1//"
HOSTILE = " ".join(KINDS) + "]]>-->" + "w" * 90
"""Attempts to inject a script, and a word that is wider than the screen of a phone."""


def picture(kind="JPEG", size=(640, 160)):
    """Return a small picture."""
    kept = io.BytesIO()
    Image.new("RGB", size, (90, 120, 60)).save(kept, kind)
    return kept.getvalue()


class SamePhotograph:
    """Photographs of every data set: the same one for every image; the images of even ids cannot be read."""

    def missing(self, record):
        return ""

    def of_image(self, record, image_id, class_name):
        return picture("WEBP", (144, 144)) if image_id % 2 else None

    def of_class(self, record, class_name):
        return picture("WEBP", (144, 144))


def searches(seed):
    """Return a record of a re-identification run on VIPeR."""
    first = 50.0 + 10 * seed
    rates = {"cmc@1": first, "cmc@5": first + 20, "cmc@50": 99.0, "map/step": first / 2, "map/trapezoid": first / 2 - 1}
    values = {name: {"value": rate, "unit": "%", "n": 10} for name, rate in rates.items()}
    return made(
        "where_to_focus/spatial_lstm_dm@viper", seed, values=values, data="viper", split=f"{seed + 1}a, {seed + 1}b",
        protocol={"data": "viper", "metrics": [["same camera", "removed"]]}, provenance=MACHINE,
    )  # fmt: skip


def busy_records():
    """Return records with every outcome and several protocols, machines and weights, and the arrays of some of them."""
    rng = np.random.default_rng(0)
    hard = rng.random(5794)
    pairs = []

    def of(name, percent, seeds, half=0.94, **fields):
        weights = weights_of(RECIPES[f"bcnn/{name}"].settings)
        fields = {"provenance": MACHINE, "weights": weights, "curve": CURVE} | fields
        return [of_accuracy(percent + s / 50, s, recipe=f"bcnn/{name}", half=half, **fields) for s in range(seeds)]

    def seen(name, percent, seeds, **fields):
        """Return such records with arrays."""
        for seed in range(seeds):
            right = np.zeros(5794, bool)
            right[np.argsort(hard + rng.normal(0, 0.05, 5794))[: round(57.94 * percent) + seed]] = True
            fields = {"provenance": MACHINE, "weights": weights_of(RECIPES[f"bcnn/{name}"].settings)} | fields
            pairs.append(of_right(right, f"bcnn/{name}", seed, classes=200, curve=CURVE, **fields))
        return [record for record, _ in pairs[-seeds:]]

    kept = deviation("data.images", changes=False).model_copy(update={"run": "all of 11,788 recompressed, not JPEG"})
    other = {
        **MACHINE,
        "device": "cpu",
        "cpu": "Other",
        "finished": "2026-11-21T00:00:00+00:00",
        "command": "fgbench run",
    }
    small = {"classes": 20, "train_images": 600, "test_images": 400, "data": "synthetic_birds"}
    records = [
        *seen("bcnn_dd@cub", 84.0, 3, deviations=[kept]),
        *of("bcnn_dm@cub", 87.3, 3),
        *of("bcnn_mm@cub", 70.0, 3),
        *seen("fv_cnn_d@cub", 74.9, 1),
        *seen("fc_cnn_d@cub", 60.0, 2, deviations=[deviation("stages.finetune.lr")]),
        *of("fc_cnn_d@cub", 61.0, 1, protocol={"images": "recompressed", "classes": 20}),
        *of("bcnn_dd@aircraft", 66.0, 2, 3.0, **SYNTHETIC, protocol=small, provenance=other, weights=[]),
        *of("bcnn_dd@cub", 5.0, 1, protocol={"control": "shuffled training labels"},
            deviations=[deviation("control", run="shuffled training labels")]),
        *(searches(seed) for seed in range(2)),
    ]  # fmt: skip
    return records, Kept(*pairs)


def night(k, name):
    """Return night `k`: from night 10, which fails, a value is lower; from night 15 a benchmark has another version."""
    bench = BenchmarkTimes(name=name, title=name, version=f"{name} {k > 14}", machine=name, sessions=(0.1 * (k % 3),))
    return Night(
        finished=f"2026-01-{k + 1:02}", commit=name, source=name, passed=k != 10, accepted=k == 11,
        values={name: 60.0 - 9 * (k > 9) + 0.1 * (k % 3), f"{name} still": 1.0},
        units={name: name, f"{name} still": name}, benches=(bench,), failed=(name,) * 5 if k in (10, 11) else (),
    )  # fmt: skip


def report(
    folder,
    records,
    outputs,
    papers=PAPERS,
    obstacles=None,
    anomalies=None,
    pictures=None,
    benchmarks=None,
    named="v",
    photographs=None,
):
    """Write all pages; return their folder."""
    folder.mkdir(parents=True, exist_ok=True)
    session = read_session(write(folder / "bench.json", benchmarks or everything()))
    verdicts = judge_papers(papers, records, obstacles or {}, RECIPES, anomalies)
    claims = check_claims(papers, records, outputs, RECIPES, anomalies)
    out = folder / "pages"
    more = [history_page([night(k, named) for k in range(20)])]
    speed = speed_page([session])
    render(papers, verdicts, claims, records, out, pictures, speed, anomalies, outputs, more, photographs=photographs)
    return out


def busy_report(folder):
    """Write the report with content on every page."""
    records, outputs = busy_records()
    pictures = {records[0].run_id: {"attention": picture()}, records[-1].run_id: {"searches": picture()}}
    anomalies = {records[5].run_id: [Anomaly("too good", "87.3 is far above")]}
    blocked = Obstacle("weights: vggm needs imagenet-vgg-m.mat (looked for /a)", "fgbench weights get vggm.matconvnet")
    obstacles = {key: blocked for key in RECIPES if "fc_cnn_m" in key or "fv_cnn_m" in key}
    return report(
        folder,
        records,
        outputs,
        obstacles=obstacles,
        anomalies=anomalies,
        pictures=pictures,
        photographs=SamePhotograph(),
    )


def hostile_report(folder):
    """Write the report whose papers, records and benchmarks have hostile names."""
    bad = dict.fromkeys(MACHINE, HOSTILE) | {"packages": {HOSTILE: HOSTILE}}
    odd = deviation(HOSTILE).model_copy(update={"run": HOSTILE, "recipe": HOSTILE, "origin": HOSTILE})
    control = deviation("control", run=HOSTILE)
    weights = [Weights(stream=HOSTILE, name=HOSTILE, sha256=HOSTILE, official=False)]
    curve = [Point(stage=HOSTILE, epoch=1, loss=1, accuracy=1, wall_s=1)]
    rules = {"data": HOSTILE, "annotations": HOSTILE, "images": HOSTILE, "control": HOSTILE,
             "metrics": [[HOSTILE, HOSTILE]]}  # fmt: skip
    fields = {"title": HOSTILE, "deviations": [odd, control], "provenance": bad, "curve": curve, "weights": weights,
              "data": HOSTILE, "split": HOSTILE, "protocol": rules, "method": HOSTILE}  # fmt: skip
    cost = {"wall_s": 1.0, "phase_s": {HOSTILE: 1.0}, "peak_mib": 2.0, "energy_note": HOSTILE}
    value = {"value": 50.0, "unit": HOSTILE, "n": 10, "definition": HOSTILE}
    named = {"cmc@1": value, "cmc@5": value, f"map/{HOSTILE}": value, f"pck@0.1/{HOSTILE}": value, "accuracy": value}
    records = [
        of_accuracy(84.0, 0, **fields, cost=cost),
        made(seed=1, values=named, **fields),
        # A record of an unknown paper, whose page must not be linked.
        made(seed=2, values={"accuracy": value}, **fields).model_copy(update={"recipe": "javascript:ran=1//x@y"}),
    ]
    paper = PAPERS["bcnn"]
    table = paper.tables[0]
    columns = tuple(column.model_copy(update={"label": HOSTILE}) for column in table.columns)
    rows = tuple(row.model_copy(update={"label": HOSTILE}) for row in table.rows)
    table = table.model_copy(update={"number": HOSTILE, "caption": HOSTILE, "columns": columns, "rows": rows})
    claims = tuple(claim.model_copy(update={"text": HOSTILE}) for claim in paper.claims)
    paper = paper.model_copy(
        update={"title": HOSTILE, "authors": (HOSTILE,), "venue": HOSTILE, "url": "javascript:ran=1", "claims": claims,
                "sources": dict.fromkeys(paper.sources, HOSTILE), "tables": (table, *paper.tables[1:])}
    )  # fmt: skip
    whole = everything()
    for entry in whole["benchmarks"]:
        entry["group"] = HOSTILE
        names = {"method", "device", "curve", "axis", "paper_source", "expected"} & set(entry["extra_info"])
        entry["extra_info"] |= dict.fromkeys(names, HOSTILE)
    obstacle = {"bcnn/fc_cnn_m@cub": Obstacle(HOSTILE, HOSTILE)}
    anomalies = {record.run_id: [Anomaly("chance", HOSTILE)] for record in records}
    pictures = {records[0].run_id: {HOSTILE: picture()}}
    papers = {**PAPERS, "bcnn": paper}
    return report(folder, records, lambda record: {}, papers, obstacle, anomalies, pictures, whole, HOSTILE)
