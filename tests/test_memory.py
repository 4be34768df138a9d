import platform
import subprocess
import sys

import pytest

CODE = """
import resource
from contextlib import nullcontext
from fgbench.memory import freed_memory_kept

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
    print(faults())
    before = resident_mib()
    b"x" * (500 << 20)
    print(resident_mib() - before)
print(resident_mib() - before)
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc")
def test_freed_memory_is_used_again_as_long_as_it_is_asked_for():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    before, inside, held_mib, left_mib, after = map(int, ran.stdout.split())
    # Pages that were touched for the first time, of 30 blocks of 33 MiB one after the other.
    assert inside < before / 5
    assert after > before / 2
    assert held_mib > 400
    assert left_mib < 100


def test_another_c_library_is_left_alone(monkeypatch):
    import ctypes

    from fgbench.memory import freed_memory_kept

    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with freed_memory_kept() as kept:
        assert not kept
