"""Started by torchrun: the time of a training step of B-CNN [D,D] with 16 images a process; the first one prints it."""

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
    """Print the seconds of a step, the slowest process's, which all wait for."""
    engine = Engine(device, "bf16-mixed" if device == "cuda" else "32-true")
    method = build(load_recipes()[recipe], device=str(engine.device)).method.train()
    images = random_images(batch, size, str(engine.device))
    target = Target(torch.arange(batch, device=engine.device))
    trained = list(method.parameters())
    optimizer = torch.optim.SGD(trained, lr=1e-6, momentum=0.9)

    def step() -> None:
        with engine.autocast():
            loss = torch.stack(list(method.losses(method(images, target), target).values())).sum()
        optimizer.zero_grad(set_to_none=True)
        engine.backward(loss, 1 / engine.processes, trained)
        optimizer.step()

    # As many windows of as many steps in every process, or they would wait for each other for ever.
    conditions = Conditions(batch=batch, size_px=size, device=device)
    fixed = Limits(window_s=0.0, rounds=10, agree=float("inf"), budget_s=float("inf"))
    speed = measure_speed(step, conditions, fixed)
    slowest = engine.fabric.all_reduce(torch.tensor(speed.step_s, device=engine.device), reduce_op="max")
    if engine.rank == 0:
        print(json.dumps({"step_s": float(slowest), "processes": engine.processes}))


if __name__ == "__main__":
    given = sys.argv[1:] or ["bcnn/bcnn_dd@cub", "cuda", "448", str(BATCH)]
    main(given[0], given[1], int(given[2]), int(given[3]))
