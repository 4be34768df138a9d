import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_trainings import numbered_data, source, stage

from fgbench.datasets.pixel_cache import Rows
from fgbench.runs.row_files import to_images
from fgbench.util.memory import forget_peak, peak_mib, unmap_pages

CODE = """
import resource
from fgbench.util.memory import freed_memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(30):
        b"x" * (33 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_mib():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20

print(faults())
with freed_memory_kept() as kept:
    assert kept
    with freed_memory_kept():
        pass
    print(faults())
    before = resident_mib()
    b"x" * (500 << 20)
    print(resident_mib() - before)
print(resident_mib() - before)
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_reused_inside_the_block():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    before, inside, held_mib, left_mib, after = map(int, ran.stdout.split())
    # Page faults of 30 successive blocks of 33 MiB.
    assert inside < before / 5
    assert after > before / 2
    assert held_mib > 400
    assert left_mib < 100


def test_another_c_library_is_not_changed(monkeypatch):
    import ctypes

    from fgbench.util.memory import freed_memory_kept

    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with freed_memory_kept() as kept:
        assert not kept


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux resets the peak")
def test_the_peak_is_reset():
    large = np.ones(40_000_000)  # 305 MiB
    del large
    before = peak_mib()
    assert forget_peak()
    assert peak_mib() < before - 250


def resident_mib():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "rows.npy", np.ones((100, 1 << 18)))  # 200 MiB
    return np.load(tmp_path / "rows.npy", mmap_mode="r")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("part", [slice(None), slice(10, 90)])
def test_pages_of_a_mapped_file_are_released_and_can_be_read_again(mapped, part):
    before = resident_mib()
    total = mapped[part].sum()
    assert resident_mib() > before + 150
    unmap_pages(mapped[part])
    assert resident_mib() < before + 20
    assert mapped[part].sum() == total


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_rows_of_a_mapped_file_release_their_pages(mapped):
    rows = Rows(mapped, np.arange(100))
    before = resident_mib()
    for row in range(0, 100, 4):
        assert rows[row : row + 4].all()
    assert resident_mib() < before + 20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_images_and_features_of_a_training_release_their_pages(tmp_path):
    np.save(tmp_path / "pixels.npy", np.ones((100, 836, 836, 3), np.uint8))  # 200 MiB
    pixels = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    cpu = torch.device("cpu")
    before = resident_mib()
    for row in range(0, 100, 4):
        assert to_images(pixels, np.arange(row, row + 4), cpu).all()
    assert resident_mib() < before + 50
    np.save(tmp_path / "wide.npy", np.ones((100, 1 << 18)))
    made = source(tmp_path, stage(train=("classifier",), augment=False, batch_size=4), numbered_data(100))
    made.features.rows = np.load(tmp_path / "wide.npy", mmap_mode="r")
    before = resident_mib()
    assert sum(len(batch.features) for batch in made.batches(1)) == 100
    assert resident_mib() < before + 50


def test_arrays_in_memory_and_changed_mappings_keep_their_values(tmp_path):
    in_memory = np.arange(10_000)
    unmap_pages(in_memory)
    assert in_memory.tolist() == list(range(10_000))
    np.save(tmp_path / "rows.npy", in_memory)
    changed = np.load(tmp_path / "rows.npy", mmap_mode="c")
    changed[:] = 7
    unmap_pages(changed)
    assert (changed == 7).all()
    written = np.load(tmp_path / "rows.npy", mmap_mode="r+")
    written[:] = 8
    unmap_pages(written)
    assert (written == 8).all()
    unmap_pages(Rows(in_memory, np.arange(3)))


def test_commands_without_measurements_work_without_resource_and_madvise(tmp_path):
    """Windows has neither the module `resource` nor `madvise`."""
    code = """
import mmap, sys
sys.modules["resource"] = None
del mmap.MADV_DONTNEED
import fgbench.cli.catalogue, fgbench.runs.execute, fgbench.cli.report
import numpy as np
from fgbench.util.memory import unmap_pages
np.save(sys.argv[1], np.arange(5))
mapped = np.load(sys.argv[1], mmap_mode="r")
unmap_pages(mapped)
print(mapped.sum())
"""
    command = [sys.executable, "-c", code, str(tmp_path / "rows.npy")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "10\n"
