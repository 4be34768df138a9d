"""Cost of a run, and the machine and the versions that executed it."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from fgbench._version import __version__
from fgbench.records.phase_log import PhaseLog
from fgbench.util.gpu_board import driver_version
from fgbench.util.memory import peak_mib

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "pandas", "pillow", "safetensors", "pydantic")
"""Packages whose versions are recorded."""


def cost(log: PhaseLog, test_images: int) -> dict[str, Any]:
    """Return the fields of a record's cost, over all sessions.

    Args:
        log: time, memory and energy of the phases.
        test_images: number of test images.
    """
    return {
        "wall_s": sum(log.phase_s.values()),
        "phase_s": log.phase_s,
        "peak_mib": max(log.peak_mib, peak_mib()),
        "phase_peak_mib": log.phase_peak_mib,
        "device_peak_mib": log.device_peak_mib,
        "test_fps": None if log.recalled.get("test") else test_images / log.phase_s["test"],
        "recalled": sum(log.recalled.values()),
        "energy_j": log.energy_j,
        "energy_note": log.energy_note,
        "sittings": log.sittings,
    }


def provenance(device: str, started: str, processes: int, source: str) -> dict[str, Any]:
    """Return the fields of a record's provenance.

    Args:
        device: `cpu` or `cuda`.
        started: time at which the run began.
        processes: number of processes.
        source: hash of the code that computed the values.
    """
    return {
        "command": os.environ.get("FGBENCH_COMMAND", ""),
        "fgbench": __version__,
        "source": source,
        **git_state(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": processes,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        **({"gpu": gpu_libraries()} if device == "cuda" else {}),
        "packages": {name: version(name) for name in PACKAGES},
        "started": started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def gpu_libraries() -> dict[str, Any]:
    """Return versions of CUDA, cuDNN and driver, and whether float32 convolutions and products may use TF32."""
    backends = torch.backends
    return {
        "cuda": torch.version.cuda,
        "cudnn": backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "driver": driver_version(),
        "tf32": {"cudnn": backends.cudnn.allow_tf32, "matmul": backends.cuda.matmul.allow_tf32},
    }


def git_state() -> dict[str, Any]:
    """Return the commit of the imported checkout, and whether it has uncommitted changes; None without a checkout."""
    folder = Path(__file__).parents[1]

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    if git("ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    status = git("status", "--porcelain", "--untracked-files=no")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}


def cpu_name() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
