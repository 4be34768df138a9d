import bench_file
import numpy as np
from command_line import run
from few_birds import CLASSES, TEST_IDS, few_birds
from stored_records import PROTOCOL, edit, record

import fgbench
from fgbench.metrics.values import measure
from fgbench.records.store import Store
from fgbench.util.hashing import hash_value


def test_report_and_verify_of_records(tmp_path):
    store = Store(tmp_path / "records")
    store.write(*record())
    code, text = run("report", "--results", str(tmp_path))
    assert code == 0
    assert (tmp_path / "report/index.html").is_file()
    assert "Synthetic data" in (tmp_path / "report/bcnn.html").read_text()
    assert run("verify", "--results", str(tmp_path)) == (
        0,
        f"{tmp_path}: 1 of 1 record verified: values recomputed from their per-sample outputs\n",
    )
    code, text = run("report", "--results", str(tmp_path))
    assert "not comparable" in text
    assert "claims: " in text
    assert "anomaly: " not in text
    path = next((tmp_path / "records").glob("*.json"))
    edit(path, lambda fields: fields["values"]["accuracy"].update(n=41), schema=1)
    code, text = run("verify", "--results", str(tmp_path))
    assert code == 1
    assert "accuracy: n is stored as 41" in text
    assert "1 record without a seal" in text


def test_no_pictures_leaves_out_the_pictures_of_runs_and_the_photographs_of_mistakes(tmp_path, monkeypatch):
    monkeypatch.setenv("FGBENCH_DATA", str(few_birds(tmp_path / "data")))
    labels, scores = np.array([0, 0, 1, 1]), np.eye(2, dtype=np.float32)[[1, 0, 1, 0]]
    protocol = {**PROTOCOL, "classes": 2, "test_images": 4}
    arrays = {"labels": labels, "scores": scores}
    fields, _ = record(protocol=protocol, protocol_hash=hash_value(protocol), values=measure(arrays))
    arrays = {"ids": np.array(TEST_IDS), **arrays, "class_names": np.array(CLASSES)}
    Store(tmp_path / "records").write(fields, arrays)
    (tmp_path / "records" / f"{fields['run_id']}-1 attention.jpg").write_bytes(b"a picture")
    page = tmp_path / "report/method-fv_sift.html"
    for option, jpegs, photographs in (((), 1, 4), (("--no-pictures",), 0, 0)):
        assert run("report", "--results", str(tmp_path), *option)[0] == 0
        text = page.read_text()
        assert (text.count("data:image/jpeg"), text.count("data:image/webp")) == (jpegs, photographs)
        assert ("Pictures were left out." in text) == bool(option)
    fgbench.report(tmp_path)
    assert page.read_text().count("data:image/webp") == 4
    fgbench.report(tmp_path, pictures=False)
    assert "data:image" not in page.read_text()


def test_the_results_folder_may_be_the_last_word_as_before(tmp_path):
    for name in ("a", "b"):
        Store(tmp_path / name / "records").write(*record())
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert run("verify", a) == run("verify", "--results", a)
    assert run("compare", a, b, "--json") == run("compare", a, "--results", b, "--json")
    assert f'"head": "{b}"' in run("compare", a, b, "--json")[1]


def test_verify_names_an_array_file_without_a_record(tmp_path):
    store = Store(tmp_path / "records")
    store.write(*record())
    store.write(*record("b" * 16))
    (tmp_path / "records" / f"{'b' * 16}.json").unlink()
    code, text = run("verify", "--results", str(tmp_path))
    assert code == 0
    assert f"{'b' * 16}.npz is of no record" in text


def test_verify_of_several_results_folders_reports_the_wrong_one(tmp_path):
    for name in ("good", "later"):
        Store(tmp_path / name / "records").write(*record())
    (tmp_path / "begun/records").mkdir(parents=True)
    code, text = run("verify", "--results", str(tmp_path))
    assert code == 0
    assert [line.partition(":")[0] for line in text.splitlines()] == [str(tmp_path / n) for n in ("good", "later")]
    path = next((tmp_path / "good/records").glob("*.json"))
    path.write_text(path.read_text().replace('"n": 40', '"n": 41', 1))
    code, text = run("verify", "--results", str(tmp_path))
    assert code == 1
    assert f"{tmp_path / 'good'}: 0 of 1 record verified" in text
    assert f"{tmp_path / 'later'}: 1 of 1 record verified" in text


def test_anomalies_are_printed_and_invalid_runs_fail(tmp_path):
    store = Store(tmp_path / "records")
    fields, outputs = record()
    store.write(fields, outputs)
    guessed = {**outputs, "scores": np.roll(outputs["scores"], 1, axis=0)}
    store.write({**fields, "run_id": "b" * 16, "values": measure(guessed)}, guessed)
    code, text = run("verify", "--results", str(tmp_path))
    assert code == 0
    assert f"anomaly: {'b' * 16} (FV-SIFT, seed 0): chance: " in text
    store.write({**fields, "run_id": "c" * 16, "method": "fc_cnn"}, outputs)
    code, text = run("verify", "--results", str(tmp_path))
    assert code == 1
    assert text.count("identical: every test sample has the same output as in FV-SIFT, seed 0") == 2
    code, text = run("report", "--results", str(tmp_path))
    assert code == 0
    assert text.count("identical: ") == 2
    assert "identical" in (tmp_path / "report/index.html").read_text()


def test_benchmarks_add_a_page_on_speed(tmp_path):
    file = bench_file.write(tmp_path / "b.json", bench_file.everything())
    arguments = ("report", "--results", str(tmp_path), "--benchmarks", str(file), "--benchmarks", str(file))
    code, text = run(*arguments)
    assert (code, text.splitlines()[-1]) == (0, f"report: {tmp_path / 'report' / 'index.html'}")
    assert "B-CNN [D,M]" in (tmp_path / "report" / "speed.html").read_text()


def test_a_first_page_of_another_program_is_not_replaced(tmp_path):
    Store(tmp_path / "records").write(*record())
    page = tmp_path / "site/index.html"
    page.parent.mkdir()
    page.write_text("<title>My own site</title>")
    arguments = ("report", "--results", str(tmp_path), "--out", str(page.parent))
    code, text = run(*arguments)
    assert code != 0
    assert "site/index.html is not a page of fgbench and is not replaced" in text
    assert page.read_text() == "<title>My own site</title>"
    page.unlink()
    assert [run(*arguments)[0] for _ in range(2)] == [0, 0]  # a page of fgbench is replaced
