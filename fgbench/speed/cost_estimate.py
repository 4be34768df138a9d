"""Estimate of the cost of a run, from counted kernels and the rates of a machine.

Each phase of the run is a sum of parts: `arithmetic` (the work of the kernels), `launches` (the time that launching
them adds), `feeding` (decoding, and images and features on their way to the device), `writing` (files), and `svm` (the
solver).
"""

import math
from collections import defaultdict
from collections.abc import Sequence

from fgbench.datasets.pipeline import Pipeline
from fgbench.papers.settings import HALF, Settings
from fgbench.records.run_cost import Expected
from fgbench.runs.training.head_features import Storage, choose_storage
from fgbench.runs.training.row_reader import FREE_SHARE as IMAGES_SHARE
from fgbench.speed.kernels import Kernel
from fgbench.speed.machine_rates import DeviceRates, HostRates
from fgbench.speed.run_kernels import RunKernels, Sizes, StageKernels
from fgbench.speed.throughput import Dtype

MIB = 1 << 20
BASE_BYTES = {False: 450 * MIB, True: 3072 * MIB}
"""Assumed memory of a process before it loads anything; True with the libraries of a GPU."""
AUTOCAST_SHARE = 0.6
"""Assumed memory of a training in bfloat16, relative to one in float32: a part of the maps stays in float32."""
SVM_SWEEPS = 30
"""Assumed number of passes of the SVM solver over the training images."""
EM_STEPS = 100
"""Assumed number of steps of the fit of a Gaussian mixture: the largest that the recipes allow."""
IN_MEMORY = (Storage.GPU, Storage.GPU_BF16)
SAVING_SHARE = 0.2
"""Largest share of the time of a stage that is spent on checkpoints."""


def estimate(
    kernels: RunKernels,
    settings: Settings,
    sizes: Sizes,
    device: DeviceRates,
    host: HostRates,
    to_decode: int | None = None,
    *,
    bf16: bool = False,
) -> Expected:
    """Estimate the cost of a run.

    Args:
        kernels: the counted kernels of the run.
        settings: settings of the run.
        sizes: numbers of images and classes.
        device: rates of the device that computes.
        host: rates of the rest of the machine.
        to_decode: number of images that are not in the cache of decoded images; None for all.
        bf16: True if the networks compute in bfloat16 outside of the training, too.
    """
    return _Account(kernels, settings, sizes, device, host, "bf16" if bf16 else "fp32").total(to_decode)


class _Account:
    """The sums of an estimate; the arguments are those of `estimate`."""

    def __init__(
        self,
        kernels: RunKernels,
        settings: Settings,
        sizes: Sizes,
        device: DeviceRates,
        host: HostRates,
        inference: Dtype,
    ) -> None:
        self.kernels, self.settings, self.sizes, self.device, self.host = kernels, settings, sizes, device, host
        self.inference = inference
        """Precision of the networks outside of the training."""
        self.seconds: dict[tuple[str, str], float] = defaultdict(float)
        """(phase, part) -> seconds."""
        train, test = (Pipeline.parse(text) for text in (settings.train_pipeline, settings.test_pipeline))
        self.train_bytes, self.test_bytes = (3.0 * pipeline.cached_size**2 for pipeline in (train, test))
        self.augmented = bool(settings.stages) and train.fixed != test.fixed
        self._fixed_done = False
        self.views = 1 + settings.mirror
        """Each image, and with `mirror` its mirror image."""

    def total(self, to_decode: int | None) -> Expected:
        """Add all phases and return the result."""
        self._pixels(to_decode)
        for stage in self.kernels.stages:
            self._stage(stage)
        if self.kernels.fits:
            self._fit()
        if self.settings.classifier == "svm":
            self._svm()
        self._test()
        phases, parts = dict[str, float](), dict[str, float]()
        for (phase, part), seconds in self.seconds.items():
            phases[phase] = phases.get(phase, 0.0) + seconds
            parts[part] = parts.get(part, 0.0) + seconds
        device, host = self._memory()
        return Expected(
            device=self.device.name,
            source=self.device.source,
            phase_s=phases,
            part_s=parts,
            disk_mib=self._disk() / MIB,
            host_mib=host / MIB,
            device_mib=device / MIB if self.device.is_gpu else None,
        )

    def _add(self, phase: str, part: str, seconds: float) -> None:
        self.seconds[phase, part] += seconds

    def _run(self, phase: str, kernels: Sequence[Kernel], times: float, dtype: Dtype = "fp32") -> None:
        """Add kernels that run a number of times."""
        work = sum(self.device.seconds(kernel, dtype) for kernel in kernels)
        launches = len(kernels) * self.device.launch_s
        self._add(phase, "arithmetic", times * work)
        # A GPU computes while the next kernels are launched.
        self._add(phase, "launches", times * (max(0.0, launches - work) if self.device.is_gpu else launches))

    def _write(self, phase: str, size_bytes: float) -> None:
        self._add(phase, "writing", size_bytes / self.host.disk_bytes_per_s)

    def _pixel_bytes(self) -> float:
        """Return the size of the decoded images: of both splits, and of the training split for augmentation."""
        images = self.sizes.train_images + self.sizes.test_images
        return images * self.test_bytes + self.augmented * self.sizes.train_images * self.train_bytes

    def _pixels(self, to_decode: int | None) -> None:
        """Decode the images that are not in the cache, and read the others to verify them."""
        images = self.sizes.train_images * (1 + self.augmented) + self.sizes.test_images
        decoded = images if to_decode is None else to_decode
        self._add("pixels", "feeding", decoded / self.host.decoded_images_per_s)
        self._write("pixels", self._pixel_bytes() * decoded / images)
        self._add("pixels", "feeding", self._pixel_bytes() * (1 - decoded / images) / self.host.disk_bytes_per_s)

    def _stage(self, stage: StageKernels) -> None:
        """Train a stage."""
        images, epochs = self.sizes.train_images, stage.stage.epochs
        dtype: Dtype = "bf16" if self.settings.precision == HALF else "fp32"
        before = sum(self.seconds.values())
        self._run("training", stage.step, epochs * images / min(stage.stage.batch_size, images), dtype)
        # The fixed blocks. On a CPU their output for an image and its mirror image is computed once.
        kept = not self.device.is_gpu and self.kernels.sees_few_images
        passes = (0 if self._fixed_done else min(epochs, 2)) if kept else epochs
        self._run("training", stage.fixed, passes * images / min(stage.stage.batch_size, images), dtype)
        self._fixed_done |= bool(stage.fixed)
        # The trunk of a stage that trains only the head.
        storage, file = self._storage(stage), self._file_bytes(stage)
        if storage:
            passes = epochs if storage is Storage.RECOMPUTED else 1
            self._run("training", self.kernels.trunk, passes * images / self.kernels.batch, self.inference)
            self._write("training", file)
        # What the steps read: features in a file, or images, which stay in the memory of a GPU if they fit.
        if file:
            self._feed("training", file, epochs)
        if not file or self.device.is_gpu:
            once = storage in IN_MEMORY or self._images_stay() or file
            self._feed("training", images * self.train_bytes, 1 if self.device.is_gpu and once else epochs)
        # Checkpoints of weights and of the state of the optimizer, as many as the share of the time allows. A GPU
        # trains meanwhile, and waits only for the last one.
        one = self._checkpoint(stage) / self.host.disk_bytes_per_s
        most = 0.0 if self.device.is_gpu else SAVING_SHARE * (sum(self.seconds.values()) - before)
        self._add("training", "writing", max(one, min(epochs * one, most)))

    def _storage(self, stage: StageKernels) -> Storage | None:
        """Return where the features of the trunk are kept; None if each step computes the trunk."""
        if not stage.features_shape:
            return None
        if not self.device.is_gpu:
            return Storage.FILE
        values, free = math.prod(stage.features_shape), self.device.memory_bytes - self.kernels.weight_bytes
        operations = sum(kernel.flop for kernel in self.kernels.trunk) / self.kernels.batch
        return choose_storage(self.sizes.train_images, values, stage.stage.epochs, free, lambda: int(operations))

    def _file_bytes(self, stage: StageKernels) -> float:
        """Return the size of the file of features; 0 without one."""
        size = 4.0 * self.sizes.train_images * math.prod(stage.features_shape)
        storage = self._storage(stage)
        return {Storage.FILE: size, Storage.FILE_BF16: size / 2}.get(storage, 0.0) if storage else 0.0

    def _images_stay(self) -> bool:
        """Return True if the training images stay in the memory of the GPU."""
        free = self.device.memory_bytes - self.kernels.weight_bytes
        return self.sizes.train_images * self.train_bytes <= IMAGES_SHARE * free

    def _resident_bytes(self, stage: StageKernels) -> float:
        """Return the size of the images or features that stay in the memory of the GPU."""
        size = 4.0 * self.sizes.train_images * math.prod(stage.features_shape)
        match self._storage(stage):
            case Storage.GPU:
                return size
            case Storage.GPU_BF16:
                return size / 2
            case None | Storage.RECOMPUTED:
                return self.sizes.train_images * self.train_bytes if self._images_stay() else 0.0
        return 0.0

    def _feed(self, phase: str, size_bytes: float, times: int) -> None:
        """Bring images or features to the device a number of times."""
        if self.device.is_gpu:
            self._add(phase, "feeding", times * size_bytes / self.device.transfer_bytes_per_s)
        else:  # read and written by the gathering of a batch, and again by the augmentation
            self._add(phase, "feeding", 4 * times * size_bytes / self.device.bytes_per_s)

    def _fit(self) -> None:
        """Describe the training images, and fit a mixture to a sample of their descriptors."""
        self._run("fit", self.kernels.predict, self.sizes.train_images / self.kernels.batch, self.inference)
        points, dims, components = self.kernels.mixture
        # A step of EM has four products of points, dimensions and components, and reads the densities a few times.
        product = Kernel("product", 2.0 * points * dims * components, 4.0 * points * (dims + components))
        density = Kernel("other", 0.0, 8.0 * points * components)
        if points:
            self._run("fit", [*[product] * 4, *[density] * 6], EM_STEPS)

    def _svm(self) -> None:
        """Compute the descriptors, write them, and train the SVM on their Gram matrix."""
        rows, dims, classes = self.views * self.sizes.train_images, self.kernels.dims, self.sizes.classes
        self._run("descriptors", self.kernels.predict, rows / self.kernels.batch, self.inference)
        self._feed("descriptors", self.sizes.train_images * self.test_bytes, self.views)
        self._write("descriptors", 4.0 * rows * dims)
        # The Gram matrix and the weights each read all descriptors.
        gram = Kernel("product", float(rows) ** 2 * dims, 4.0 * rows * dims)
        weights = Kernel("product", 2.0 * rows * dims * classes, 4.0 * rows * dims)
        ascent = Kernel("product", 2.0 * SVM_SWEEPS * rows**2 * classes, 4.0 * SVM_SWEEPS * rows**2)
        self._add("svm", "svm", sum(self.device.seconds(kernel, "fp32") for kernel in (gram, weights, ascent)))
        self._add("svm", "svm", 8.0 * rows * dims / self.device.transfer_bytes_per_s)
        self._add("svm", "svm", SVM_SWEEPS * rows * self.host.coordinate_s)

    def _test(self) -> None:
        """Compute the outputs of the test images."""
        batch, classes, dims = self.kernels.batch, self.sizes.classes, self.kernels.dims
        scores = Kernel("product", 2.0 * batch * dims * classes, 4.0 * (batch + classes) * dims)
        batches = self.views * self.sizes.test_images / batch
        self._run("test", self.kernels.predict, batches, self.inference)
        if self.settings.classifier == "svm":
            self._run("test", [scores], batches)
        self._feed("test", self.sizes.test_images * self.test_bytes, self.views)
        self._write("test", self._output_bytes())

    def _output_bytes(self) -> float:
        width = self.kernels.dims if self.settings.classifier == "ranking" else self.sizes.classes
        return 4.0 * self.sizes.test_images * width

    def _checkpoint(self, stage: StageKernels) -> float:
        return self.kernels.weight_bytes + stage.state_bytes

    def _disk(self) -> float:
        """Return the largest size of all files: images, a checkpoint, and the features or the descriptors."""
        files = [self._file_bytes(stage) for stage in self.kernels.stages]
        if self.settings.classifier == "svm":
            files.append(4.0 * self.views * self.sizes.train_images * self.kernels.dims)
        checkpoints = [self._checkpoint(stage) for stage in self.kernels.stages]
        return self._pixel_bytes() + max(files, default=0.0) + max(checkpoints, default=0.0) + self._output_bytes()

    def _memory(self) -> tuple[float, float]:
        """Return the largest memory of the device and of the process, in bytes."""
        needs = [3 * max(kernel.size_bytes for kernel in self.kernels.predict)]
        half = AUTOCAST_SHARE if self.settings.precision == HALF else 1.0
        for stage in self.kernels.stages:
            maps = stage.saved_bytes + 2 * max(kernel.size_bytes for kernel in stage.step)
            resident = self._resident_bytes(stage) if self.device.is_gpu else 0.0
            needs.append(stage.gradient_bytes + stage.state_bytes + half * maps + resident)
        work = self.kernels.weight_bytes + max(needs)
        svm = 0.0
        if self.settings.classifier == "svm":
            rows = self.views * self.sizes.train_images
            svm = 8.0 * rows**2 + min(512.0 * MIB, 8.0 * rows * self.kernels.dims)
        base = BASE_BYTES[self.device.is_gpu]
        return work, base + (self.kernels.weight_bytes + svm if self.device.is_gpu else max(work, svm))
