"""The processor, its vector instructions, and what the numerical libraries use of them."""

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from fgbench.util.counted import counted

CPUINFO = Path("/proc/cpuinfo")
IN_MACHINE_INFO = "processor_features"
"""Key of a processor in the `machine_info` of a result file."""
FEATURES = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "AVX-512 BF16": "avx512_bf16",
    "AMX": "amx_tile",
    "NEON": "asimd",
}
"""Vector instructions -> their flag in /proc/cpuinfo."""
LIMITS = (
    "ATEN_CPU_CAPABILITY",
    "DNNL_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
    "NPY_DISABLE_CPU_FEATURES",
    "ONEDNN_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)
"""Environment variables that keep the libraries from some instructions."""


class Processor(BaseModel):
    """A processor, and what torch and NumPy use of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    cores: int
    has: tuple[str, ...]
    """Vector instructions of the processor that the system shows; names of `FEATURES`."""
    torch: str
    """Largest instruction set of the kernels of torch, such as `AVX512`."""
    numpy: str
    """Largest instruction set of the kernels of NumPy."""
    blas: tuple[str, ...]
    """Libraries of linear algebra with their version and, if they tell it, the kernels in use."""
    limits: dict[str, str]
    """Environment variables of `LIMITS` that are set."""

    @property
    def features(self) -> str:
        """Vector instructions of the processor, and those that the libraries use."""
        lacks = [f"no {name}" for name in ("AVX-512", "AMX") if "AVX2" in self.has and name not in self.has]
        limits = "".join(f"; {name}={value}" for name, value in self.limits.items())
        uses = f"torch uses {self.torch}, NumPy {self.numpy}, BLAS {' and '.join(self.blas) or 'unknown'}"
        return f"{', '.join((*self.has, *lacks)) or 'unknown vector instructions'}; {uses}{limits}"

    def __str__(self) -> str:
        return f"{self.name}, {counted(self.cores, 'core')}: {self.features}"


@cache
def this_processor() -> Processor:
    """Return the processor of this machine."""
    # Reading result files needs no torch.
    import torch

    from fgbench.records.provenance import cpu_name

    return Processor(
        name=cpu_name() or "unknown processor",
        cores=os.cpu_count() or 1,
        has=flags(CPUINFO),
        torch=torch.backends.cpu.get_cpu_capability(),
        numpy=_numpy_instructions(),
        blas=_blas(torch.__config__.show()),
        limits={name: os.environ[name] for name in LIMITS if os.environ.get(name)},
    )


def flags(file: Path) -> tuple[str, ...]:
    """Return the names of `FEATURES` whose flag a file like /proc/cpuinfo has; none without the file."""
    if not file.is_file():
        return ()
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", file.read_text(errors="replace"), re.MULTILINE)
    present = set(line[1].split()) if line else set()
    return tuple(name for name, flag in FEATURES.items() if flag in present)


def _numpy_instructions() -> str:
    """Return the last group of instructions for which NumPy has kernels and that it may use."""
    import numpy as np

    extensions: Mapping[str, Any] = np.show_config(mode="dicts").get("SIMD Extensions", {})
    used = [*extensions.get("baseline", []), *extensions.get("found", [])]
    return str(used[-1]) if used else "unknown"


def _blas(torch_build: str) -> tuple[str, ...]:
    """Return the library in torch, which is linked into it, and those that are loaded beside it."""
    from threadpoolctl import threadpool_info

    mkl = re.search(r"oneAPI Math Kernel Library Version ([\w.]+)", torch_build)
    onednn = re.search(r"MKL-DNN v([\d.]+)", torch_build)
    inside = (f"MKL {mkl[1]} (torch)" if mkl else "", f"oneDNN {onednn[1]} (torch)" if onednn else "")
    loaded = [
        f"{library['prefix'].removeprefix('lib')} {library['version']} ({library.get('architecture', 'any kernels')})"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
    return (*filter(None, inside), *dict.fromkeys(loaded))
