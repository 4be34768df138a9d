from made_records import of_accuracy
from report_pages import Parsed, pages


def test_each_shared_part_is_listed_once_with_its_number_of_runs(tmp_path):
    weights = [{"stream": f"s{n}", "name": "vgg16", "sha256": "ab" * 32, "official": True} for n in range(2)]
    known = {"cpu": "EPYC", "packages": {"torch": "2"}, "command": "fgbench run", "finished": "2026-01-01T10:11:12"}
    records = [of_accuracy(80.0, s, weights=weights, provenance=known) for s in range(2)]
    records.append(of_accuracy(80.0, 2, weights=[], provenance={**known, "cpu": "Xeon"}))
    page = pages(tmp_path, records)["provenance"]
    assert page.count("ab" * 32) == 1
    rows = [Parsed(row).text for row in page.split('id="weights"')[1].split("</table>")[0].split("<tr")[2:]]
    assert rows[0].endswith(f"W1 vgg16 {'ab' * 32} 2")
    machines = [Parsed(row).text for row in page.split('id="machines"')[1].split("</table>")[0].split("<tr")[2:]]
    assert ["EPYC" in row and row.endswith(" 2") for row in machines] == [True, False]
    assert ["Xeon" in row and row.endswith(" 1") for row in machines] == [False, True]
    runs = [Parsed(f"<tr{row}").text for row in page.split('id="runs"')[1].split("</table>")[0].split("<tr")[2:]]
    assert runs[0] == f"{records[0].run_id} bcnn/bcnn_dd@cub paper 0 – D1 W1 M1 P1 F1 C1 2026-01-01 10:11"  # noqa: RUF001
    assert runs[2].split("D1")[1].split()[:2] == ["–", "M2"]  # noqa: RUF001
    for key in ("D1", "W1", "M1", "M2", "P1", "F1", "C1"):
        assert page.count(f'id="{key}"') == 1
