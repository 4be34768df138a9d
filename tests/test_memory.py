import platform
import subprocess
import sys

import pytest

CODE = """
import resource
from fgbench.memory import keep_freed_memory

if {keep}:
    assert keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(30):
    b"x" * (33 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    """Pages that were touched for the first time, of 30 blocks of 33 MiB one after the other."""
    ran = subprocess.run([sys.executable, "-c", CODE.format(keep=keep)], capture_output=True, text=True, check=True)
    return int(ran.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc")
def test_freed_memory_is_used_again():
    assert faults(True) < faults(False) / 5


def test_another_c_library_is_left_alone(monkeypatch):
    import ctypes

    from fgbench.memory import keep_freed_memory

    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert not keep_freed_memory()
