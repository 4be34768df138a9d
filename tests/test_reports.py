from pathlib import Path

import pytest

from fgbench.runner import store_of

CAMPAIGNS = sorted(path.parent for path in (Path(__file__).parents[1] / "reports").glob("*/records"))


def test_there_are_records():
    assert CAMPAIGNS


@pytest.mark.parametrize("folder", CAMPAIGNS, ids=lambda folder: folder.name)
def test_every_committed_value_is_recomputed_from_its_outputs(folder):
    store = store_of(folder)
    records = store.records()
    assert records
    assert {record.run_id: store.verify(record) for record in records} == {record.run_id: [] for record in records}
    assert len(list((folder / "records").iterdir())) == 2 * len(records)


def test_shuffled_labels_are_at_chance_and_the_methods_in_order_on_real_birds():
    records = store_of(Path(__file__).parents[1] / "reports/cub-first-20").records()
    control = [r for r in records if r.protocol["control"] != "none"]
    plain = {r.method: r.values["accuracy"] for r in records if r.protocol["control"] == "none"}
    assert plain["bcnn"].value > plain["fv_cnn"].value > plain["fv_sift"].value
    assert all(value.low > 100 / 20 for value in plain.values())
    assert control
    assert sum(r.values["accuracy"].value for r in control) / len(control) < 100 / 20 + 3
    assert not any(r.comparable for r in records)
