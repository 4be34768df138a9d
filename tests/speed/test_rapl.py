"""The energy counters of a processor, in a folder like that of Linux."""

from pathlib import Path

import pytest

from fgbench.speed.rapl import ProcessorEnergy
from fgbench.util.errors import MissingError


def zone(folder, number, name, microjoules, largest=1_000_000):
    place = folder / f"intel-rapl:{number}"
    place.mkdir(parents=True)
    for file, value in (("name", name), ("energy_uj", microjoules), ("max_energy_range_uj", largest)):
        (place / file).write_text(f"{value}\n")
    return place / "energy_uj"


def test_the_energy_of_all_packages_is_added_and_that_of_their_parts_is_not(tmp_path):
    first, second = zone(tmp_path, "0", "package-0", 100), zone(tmp_path, "1", "package-1", 200)
    cores = zone(tmp_path, "0:0", "core", 50)
    counter = ProcessorEnergy(tmp_path)
    assert counter.energy_j() == 0
    for file, value in ((first, 500_100), (second, 250_200), (cores, 400_000)):
        file.write_text(str(value))
    assert counter.energy_j() == pytest.approx(0.75)
    assert counter.energy_j() == pytest.approx(0.75)


def test_a_counter_that_begins_anew_is_continued(tmp_path):
    file = zone(tmp_path, "0", "package-0", 900_000)
    counter = ProcessorEnergy(tmp_path)
    file.write_text("100000")
    assert counter.energy_j() == pytest.approx(0.2)


def test_no_counter_is_missing_hardware(tmp_path):
    zone(tmp_path, "0", "psys", 1)
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(MissingError, match="shows no energy counter of its processor"):
            ProcessorEnergy(folder)


def test_a_counter_of_the_administrator_is_named(tmp_path, monkeypatch):
    file, read = zone(tmp_path, "0", "package-0", 1), Path.read_text

    def refused(self, **options):
        if self == file:
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, **options)

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(MissingError, match="energy_uj cannot be read: Permission denied"):
        ProcessorEnergy(tmp_path)
