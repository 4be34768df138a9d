"""Rates of a machine for estimates: measured on this one, or published for a GPU that is not here."""

import io
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from fgbench.backbones.fast_convolutions import FastConvolutions
from fgbench.datasets.pipeline import Pipeline
from fgbench.speed.kernels import Kernel
from fgbench.speed.precision_probe import bfloat16_gain
from fgbench.speed.roofline import measure_rates, shortest_s
from fgbench.speed.throughput import Dtype
from fgbench.util.counted import counted
from fgbench.util.errors import FgbenchError, nearest
from fgbench.util.files import make_folder
from fgbench.util.numeric.seeding import refuse_tf32

SHARE_OF_PEAK = 0.5
"""Assumed share of the published peaks that a run reaches."""
LAUNCH_S = 1e-5
"""Assumed time in which PyTorch launches a kernel of a network on a GPU without compilation, in seconds."""
DISK_BYTES = 1 << 26
"""Size of the file whose writing gives the rate of the disk."""
PHOTO_PX = (500, 375)
"""Size of the photograph whose decoding is timed, the usual one of CUB-200-2011."""


@dataclass(frozen=True, slots=True)
class DeviceRates:
    """Rates of the device that computes."""

    name: str
    """Name of the device."""
    source: str
    """How the rates were obtained."""
    is_gpu: bool
    product_flop_per_s: dict[Dtype, float]
    """Operations of matrix products per second, by precision."""
    convolution_flop_per_s: dict[Dtype, float]
    backward_flop_per_s: dict[Dtype, float]
    """Operations of the gradients of convolutions per second."""
    bytes_per_s: float
    """Bytes of its memory that are read and written per second."""
    launch_s: float
    """Time to launch a kernel. On a GPU, kernels are launched while others run; on a CPU, this time is added."""
    memory_bytes: float
    """Size of its memory."""
    transfer_bytes_per_s: float
    """Bytes from the memory of the machine to the device per second."""

    def seconds(self, kernel: Kernel, dtype: Dtype) -> float:
        """Return the time of a kernel without its launch: that of its operations or that of its bytes."""
        rates = {
            "convolution": self.convolution_flop_per_s,
            "convolution_backward": self.backward_flop_per_s,
        }.get(kernel.kind, self.product_flop_per_s)
        size = kernel.size_bytes / 2 if dtype == "bf16" else kernel.size_bytes
        return max(kernel.flop / rates[dtype], size / self.bytes_per_s)


@dataclass(frozen=True, slots=True)
class HostRates:
    """Rates of the rest of the machine."""

    disk_bytes_per_s: float
    """Bytes written to the disk per second."""
    decoded_images_per_s: float
    """Photographs of 500 x 375 px decoded and resized to 448 px per second, on all cores."""
    coordinate_s: float
    """Time of a step of the SVM solver for one training image and all classes, in seconds."""


def _published(name: str, fp32: float, bf16: float, bytes_per_s: float, memory: float, link: float) -> DeviceRates:
    """Return the assumed share of published peaks."""
    flop_per_s: dict[Dtype, float] = {"fp32": SHARE_OF_PEAK * fp32, "bf16": SHARE_OF_PEAK * bf16}
    return DeviceRates(
        name,
        f"{100 * SHARE_OF_PEAK:.0f} % of the published peaks",
        is_gpu=True,
        product_flop_per_s=flop_per_s,
        convolution_flop_per_s=flop_per_s,
        backward_flop_per_s=flop_per_s,
        bytes_per_s=SHARE_OF_PEAK * bytes_per_s,
        launch_s=LAUNCH_S,
        memory_bytes=memory,
        transfer_bytes_per_s=SHARE_OF_PEAK * link,
    )


GPUS = {
    "a100": _published("NVIDIA A100 SXM, 80 GB", 19.5e12, 312e12, 2.039e12, 80e9, 32e9),
    "h100": _published("NVIDIA H100 SXM, 80 GB", 67e12, 989e12, 3.35e12, 80e9, 64e9),
    "h200": _published("NVIDIA H200 SXM, 141 GB", 67e12, 989e12, 4.8e12, 141e9, 64e9),
}
"""Rates by name. Peaks of the data sheets: fp32 without and bf16 with tensor cores, both dense, the memory, and one
direction of PCI Express (generation 4 for A100, else 5)."""
ASSUMED_HOST = HostRates(disk_bytes_per_s=1e9, decoded_images_per_s=1000.0, coordinate_s=2e-5)
"""Assumed machine around a published GPU: an NVMe disk and 16 cores."""


def gpu_rates(name: str) -> DeviceRates:
    """Return the rates of a GPU that is not here.

    Raises:
        FgbenchError: the name is unknown.
    """
    if name not in GPUS:
        raise FgbenchError(f"no rates of a GPU named {name!r}; {nearest(name, GPUS)}")
    return GPUS[name]


def _clock(device: str, threads: int) -> Callable[[], float]:
    """Return a clock for a device. On a CPU it is the time of this process on each core, without other load."""
    if device != "cpu":
        return time.perf_counter
    cores = min(threads, os.cpu_count() or 1)
    return lambda: time.process_time() / cores


def measure_device(device: str, threads: int, bf16: bool = False) -> DeviceRates:
    """Measure the rates of a device of this machine in about two seconds, as they are without other load.

    Args:
        device: `cpu` or `cuda`.
        threads: number of CPU threads of the runs.
        bf16: probe bfloat16 on a CPU. Otherwise its rates there are those of float32.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    clock = _clock(device, threads)
    refuse_tf32()  # as runs do
    try:
        dtypes: tuple[Dtype, ...] = ("fp32", "bf16") if device == "cuda" else ("fp32",)
        rates = {dtype: measure_rates(device, dtype, clock) for dtype in dtypes}
        forward, backward = {}, {}
        for dtype in dtypes:
            forward[dtype], backward[dtype] = _convolution_rates(device, dtype, clock)
        tiny = torch.zeros(16, device=device)
        launch_s = shortest_s(lambda: [tiny.add_(1) for _ in range(100)], torch.device(device), clock) / 100
    finally:
        torch.set_num_threads(before)
    products = {dtype: rate.product_flop_per_s for dtype, rate in rates.items()}
    if device != "cuda":
        gain = bfloat16_gain(device, threads) if bf16 else 1.0
        for flop_per_s in (products, forward, backward):
            flop_per_s["bf16"] = gain * flop_per_s["fp32"]
    gpu = torch.cuda.get_device_properties(0) if device == "cuda" else None
    page_bytes, pages = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    bytes_per_s = rates["fp32"].bytes_per_s
    return DeviceRates(
        gpu.name if gpu else f"this CPU with {counted(threads, 'thread')}",
        "measured on this machine",
        is_gpu=gpu is not None,
        product_flop_per_s=products,
        convolution_flop_per_s=forward,
        backward_flop_per_s=backward,
        bytes_per_s=bytes_per_s,
        # A step of a network launches each kernel through autograd and modules, which takes longer than one in a loop.
        launch_s=max(launch_s, LAUNCH_S) if gpu else launch_s,
        memory_bytes=float(gpu.total_memory if gpu else page_bytes * pages),
        transfer_bytes_per_s=_transfer_rate() if gpu else bytes_per_s,
    )


def measure_host(folder: Path) -> HostRates:
    """Measure the rates of this machine in about a second.

    Args:
        folder: results folder, on the disk that is measured.
    """
    make_folder(folder)
    block = np.random.default_rng(0).bytes(DISK_BYTES)
    with tempfile.TemporaryFile(dir=folder) as file:
        started = time.perf_counter()
        file.write(block)
        file.flush()
        os.fsync(file.fileno())
        disk = DISK_BYTES / (time.perf_counter() - started)
    # A photograph that is about as large as one of the data set.
    noise = np.random.default_rng(0).integers(0, 255, (PHOTO_PX[1] // 4, PHOTO_PX[0] // 4, 3), np.uint8)
    photo = io.BytesIO()
    Image.fromarray(noise).resize(PHOTO_PX).save(photo, "JPEG", quality=90)
    pipeline = Pipeline.parse("resize_short(448, bilinear) | center_crop(448)")
    decode_s = shortest_s(lambda: pipeline.decode(Image.open(photo)), torch.device("cpu"), _clock("cpu", 1))
    scores, gram = np.zeros((64, 200)), np.ones((64, 1))

    def coordinate() -> None:
        new = np.clip(scores[0] - (scores[1] * scores[2] - 1) / 2.0, 0, 1)
        scores[1:] += gram[1:] * (new - scores[0])

    return HostRates(
        disk, (os.cpu_count() or 1) / decode_s, shortest_s(coordinate, torch.device("cpu"), _clock("cpu", 1))
    )


def _convolution_rates(device: str, dtype: Dtype, clock: Callable[[], float]) -> tuple[float, float]:
    """Return operations per second of a 3 x 3 convolution and of its gradients, by the algorithm that networks use."""
    side, channels, batch = (28, 128, 8) if device == "cpu" else (56, 256, 64)
    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    x = torch.rand(batch, channels, side, side, device=device, dtype=kind).to(memory_format=torch.channels_last)
    weight = torch.rand(channels, channels, 3, 3, device=device, dtype=kind).to(memory_format=torch.channels_last)
    flop = 2.0 * batch * side**2 * channels**2 * 9
    fast = FastConvolutions() if device == "cpu" and dtype == "fp32" else nullcontext()
    with torch.no_grad(), fast:
        forward_s = shortest_s(lambda: F.conv2d(x, weight, padding=1), torch.device(device), clock)
    x.requires_grad_()
    weight.requires_grad_()
    with fast:
        out = F.conv2d(x, weight, padding=1)
    ones = torch.ones_like(out)
    backward_s = shortest_s(
        lambda: torch.autograd.grad(out, (x, weight), ones, retain_graph=True), torch.device(device), clock
    )
    return flop / forward_s, 2 * flop / backward_s


def _transfer_rate() -> float:
    """Return the bytes per second from pinned memory to the GPU."""
    source = torch.empty(1 << 28, dtype=torch.uint8, pin_memory=True)
    return (1 << 28) / shortest_s(lambda: source.to("cuda", non_blocking=True), torch.device("cuda"))
