"""Vector instructions of processors, as /proc/cpuinfo lists them, and what the libraries use."""

import json
import os
import subprocess
import sys

import pytest
import torch

from fgbench.speed.processor import LIMITS, Processor, flags, this_processor

HASWELL = "processor\t: 0\nmodel name\t: Some Haswell\nflags\t\t: fpu sse4_2 avx avx2 f16c\nvmx flags\t: vnmi\n"
SAPPHIRE_RAPIDS = "flags\t\t: avx2 avx512f avx512_bf16 amx_bf16 amx_tile amx_int8\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HASWELL, ("AVX2",)),
        (SAPPHIRE_RAPIDS, ("AVX2", "AVX-512", "AVX-512 BF16", "AMX")),
        ("flags\t\t: avx2 avx512f_of_another_name\n", ("AVX2",)),
        ("Features\t: fp asimd evtstrm\n", ("NEON",)),
        ("model name\t: avx2\n", ()),
    ],
)
def test_flags_are_those_of_the_first_processor(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert flags(tmp_path / "cpuinfo") == expected
    assert flags(tmp_path / "none") == ()


def processor(**fields):
    values = {
        "name": "Some CPU",
        "cores": 2,
        "has": ("AVX2",),
        "torch": "AVX2",
        "numpy": "X86_V3",
        "blas": ("MKL 2024",),
    }
    return Processor(**values | {"limits": {}} | fields)


def test_a_processor_is_one_line():
    assert (
        str(processor()) == "Some CPU, 2 cores: AVX2, no AVX-512, no AMX; torch uses AVX2, NumPy X86_V3, BLAS MKL 2024"
    )
    assert processor(has=("AVX2", "AVX-512", "AMX")).features.startswith("AVX2, AVX-512, AMX; torch")
    assert processor(has=(), blas=()).features.startswith("unknown vector instructions; ")
    assert processor(has=("NEON",)).features.startswith("NEON; ")
    assert processor(limits={"ONEDNN_MAX_CPU_ISA": "AVX2"}).features.endswith("; ONEDNN_MAX_CPU_ISA=AVX2")


def test_the_libraries_of_this_process_are_asked():
    here = this_processor()
    assert here.cores == os.cpu_count()
    assert here.torch == torch.backends.cpu.get_cpu_capability()
    assert here.limits == {name: os.environ[name] for name in LIMITS if os.environ.get(name)}
    assert any("openblas" in library or "MKL" in library for library in here.blas)


@pytest.mark.skipif("AVX2" not in this_processor().has, reason="the processor has no AVX2 to be kept to")
def test_switched_off_instructions_are_not_in_use():
    code = "from fgbench.speed.processor import this_processor as p; print(p().model_dump_json())"
    limits = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "OPENBLAS_CORETYPE": "Haswell"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | limits, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["torch"] == "AVX2"
    assert found["limits"].items() >= limits.items()
    assert not [library for library in found["blas"] if "openblas" in library and "Haswell" not in library]
