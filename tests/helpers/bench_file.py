"""Result files of pytest-benchmark."""

import json
import os
import subprocess
import sys


def benchmark(group, name, median, extra_info):
    """Return an entry with every key that pytest-benchmark 5 writes."""
    stats = {
        "min": median * 0.9, "max": median * 1.2, "mean": median, "stddev": median / 10, "rounds": 5, "median": median,
        "iqr": median / 5, "q1": median * 0.95, "q3": median * 1.15, "iqr_outliers": 0, "stddev_outliers": 1,
        "outliers": "1;0", "ld15iqr": median, "hd15iqr": median, "ops": 1 / median if median else None,
        "total": median * 5, "data": [median] * 5, "iterations": 1,
    }  # fmt: skip
    options = {"disable_gc": False, "timer": "perf_counter", "min_rounds": 5, "max_time": 1.0, "min_time": 5e-06,
               "precision": None, "confidence": None, "warmup": False}  # fmt: skip
    return {
        "group": group, "name": name, "fullname": f"benchmarks/test_x.py::{name}", "params": {"who": "x"},
        "param": "x", "extra_info": extra_info, "options": options, "stats": stats,
    }  # fmt: skip


def hot(group="compact bilinear pooling", median=0.004, **fields):
    """Return the row of fgbench in a race, as `benchmarks/conftest.py` writes it."""
    info = {
        "version": "0123456789ab", "entrant": "fgbench", "threads": 1, "reference_s": 0.02, "times_reference": 0.2,
        "times_as_fast_as": {"an FFT a location": 15.6, "one inverse FFT": 9.6},
        "at_least": {"an FFT a location": 15.0, "one inverse FFT": 10.0},
        "floor_s": 0.001, "times_floor": 4.1, "floor_counts": "half of the outer product",
    }  # fmt: skip
    return benchmark(group, f"test_{group}[fgbench]", median, info | fields)


def peer(group="compact bilinear pooling", median=0.06):
    info = {"version": "0123456789ab", "entrant": "an FFT a location", "threads": 1, "reference_s": 0.02,
            "times_reference": 3.0}  # fmt: skip
    return benchmark(group, f"test_{group}[an FFT a location]", median, info)


def frames(method="B-CNN [D,M]", **fields):
    info = {
        "kind": "frames", "method": method, "recipe": "bcnn/bcnn_dm", "task": "recognition", "device": "Some CPU",
        "device_type": "cpu", "batch": 1, "size_px": 448, "dtype": "fp32", "layout": "channels_last", "compiled": "",
        "decode": False, "threads": 2, "frames_per_s": 1.72, "frames_per_s_low": 1.6, "frames_per_s_high": 1.8,
        "steady": True, "warmup_s": 2.0, "peak_mib": 812.0, "peak_of": "the process", "best_batch": False, "tried": [],
        "stopped": "", "joule_per_image": None, "joule_low": None, "joule_high": None, "energy_note": "no GPU was used",
        "power_w": None, "sm_mhz": None, "memory_mhz": None, "held_down_by": [], "gflop_per_image": 138.1,
        "bound_fps": 2.5, "bound_by": "operations", "share_of_bound": 0.688, "peak_gflop_per_s": 345.0,
        "bandwidth_gb_per_s": 20.1, "paper_fps": 8.0, "paper_source": "frames/s, Tesla K40; the talk",
        "difference_from_fp32": None, "version": "0123456789ab", "stand_ins": "random weights", "reference_s": 0.02,
    }  # fmt: skip
    return benchmark("frames/s, cpu", f"test_frames[{method}-cpu]", 0.58, info | fields)


def cuda(**fields):
    return frames(
        **{
            "device": "NVIDIA H200", "device_type": "cuda", "batch": 64, "dtype": "bf16", "compiled": "default",
            "frames_per_s": 2345.6, "frames_per_s_low": 2300.0, "frames_per_s_high": 2400.0, "best_batch": True,
            "tried": [[32, 2000.0], [64, 2345.6], [128, None]], "stopped": "a batch of 128 did not fit in memory",
            "joule_per_image": 0.2512, "joule_low": 0.24, "joule_high": 0.26, "energy_note": "", "power_w": 589.0,
            "sm_mhz": [1500, 1700], "memory_mhz": [3000, 3000], "held_down_by": ["power cap"], "bound_fps": 4000.0,
            "share_of_bound": 0.5864, "peak_of": "tensors on the GPU", "difference_from_fp32": 0.0123,
        }
        | fields
    )  # fmt: skip


def scaling(at, median, curve="CMC and mAP", **fields):
    info = {
        "kind": "scaling", "curve": curve, "axis": "gallery images", "at": at, "expected": "1 to 1.1", "threads": 1,
        "device": "Some CPU", "exponent": 1.07, "exponent_low": 0.98, "exponent_high": 1.16, "version": "0123456789ab",
    }  # fmt: skip
    return benchmark(curve, f"test_scaling[{curve}-{at}]", median, info | fields)


def content(*benchmarks, cpu="Fake Xeon", **fields):
    machine = {
        "node": "n", "processor": "", "machine": "x86_64", "python_compiler": "GCC", "python_implementation": "CPython",
        "python_implementation_version": "3.11.2", "python_version": "3.11.2", "python_build": ["main", "x"],
        "release": "6.1", "system": "Linux", "cpu": {"brand_raw": cpu, "count": 2, "arch": "X86_64"},
    }  # fmt: skip
    commit = {"id": "abcdef0123456789", "time": "2026-11-21T10:00:00+00:00", "dirty": False, "branch": "main"}
    whole = {"machine_info": machine, "commit_info": commit, "benchmarks": list(benchmarks),
             "datetime": "2026-11-21T10:20:30.123456+00:00", "version": "5.3.1"}  # fmt: skip
    return whole | fields


def everything():
    curve = [scaling(at, 1e-6 * at**1.07) for at in (2000, 4000, 8000)]
    training = frames("B-CNN [M,M]", task="training step", paper_fps=None, share_of_bound=None, bound_fps=None)
    return content(hot(), peer(), frames(), cuda(), training, *curve)


def write(path, whole):
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


def written_by_pytest(folder, test):
    """Return the file that pytest-benchmark writes for the text of a test file, in a process of its own."""
    (folder / "test_it.py").write_text(test)
    out = folder / "real.json"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "test_it.py")]
    # Without the variables of pytest-xdist, under which pytest-benchmark does not time.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    command.append(f"--benchmark-json={out}")
    subprocess.run(command, check=True, cwd=folder, capture_output=True, env=alone)
    return out
