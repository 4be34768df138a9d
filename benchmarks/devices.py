"""Measure a training step of B-CNN [D,D] with 16 images per process under torchrun; process 0 prints the time."""

import json
import sys

import torch

from fgbench.methods import Target
from fgbench.papers.recipes import load_recipes
from fgbench.runs.training.distributed import Engine
from fgbench.speed.throughput import Conditions, Limits, measure_speed
from fgbench.speed.workloads import build, random_images

BATCH = 16


def main(recipe: str, device: str, size: int, batch: int) -> None:
    """Print the seconds of a step in the slowest process."""
    engine = Engine(device, "bf16-mixed" if device == "cuda" else "32-true")
    method = build(load_recipes()[recipe], device=str(engine.device)).method.train()
    images = random_images(batch, size, str(engine.device))
    target = Target(torch.arange(batch, device=engine.device))
    parameters = list(method.parameters())
    optimizer = torch.optim.SGD(parameters, lr=1e-6, momentum=0.9)

    def step() -> None:
        with engine.autocast():
            loss = torch.stack(list(method.losses(method(images, target), target).values())).sum()
        optimizer.zero_grad(set_to_none=True)
        engine.backward(loss, 1 / engine.processes, parameters)
        optimizer.step()

    # Every process needs the same number of windows and steps, or the processes wait for each other without end.
    conditions = Conditions(batch=batch, size_px=size, device=device)
    fixed = Limits(window_s=0.0, rounds=10, tolerance=float("inf"), budget_s=float("inf"))
    speed = measure_speed(step, conditions, fixed)
    slowest = engine.fabric.all_reduce(torch.tensor(speed.step_s, device=engine.device), reduce_op="max")
    if engine.rank == 0:
        print(json.dumps({"step_s": float(slowest), "processes": engine.processes}))


if __name__ == "__main__":
    arguments = sys.argv[1:] or ["bcnn/bcnn_dd@cub", "cuda", "448", str(BATCH)]
    main(arguments[0], arguments[1], int(arguments[2]), int(arguments[3]))
