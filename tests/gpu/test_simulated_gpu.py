"""The simulated GPU has the values of the CPU, and refuses and counts what a real one refuses and waits for."""

import numpy as np
import pytest
import torch
from simulated_gpu import SimulatedGpu
from simulated_tensor import CUDA, SimulatedTensor
from small_trainings import bcnn
from torch import nn

from fgbench.methods.base import Target
from fgbench.util.numeric.seeding import generator


def images(count=4):
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator(0, "images"))


def gradients(method, pixels, labels):
    losses = method.losses(method(pixels), Target(labels))
    torch.stack(list(losses.values())).sum().backward()
    return {name: parameter.grad for name, parameter in method.named_parameters()}


def test_a_training_step_has_the_gradients_of_the_cpu(gpu):
    torch.manual_seed(0)
    method, labels = bcnn(), torch.tensor([0, 1, 2, 0])
    state = {name: value.clone() for name, value in method.state_dict().items()}
    expected = {name: grad.clone() for name, grad in gradients(method, images(), labels).items()}
    method.load_state_dict(state)
    method.zero_grad()
    method.to("cuda")
    found = gradients(method, images().to(CUDA), labels.to(CUDA))
    assert all(isinstance(grad, SimulatedTensor) for grad in found.values())
    assert all(torch.equal(found[name].cpu(), grad) for name, grad in expected.items())


def test_an_optimizer_changes_the_parameters_as_on_the_cpu(gpu):
    weights = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        layer = nn.Linear(3, 2).to(device)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
        for _ in range(2):
            optimizer.zero_grad()
            layer(torch.ones(4, 3, device=device)).square().sum().backward()
            optimizer.step()
        weights.append(layer.weight.detach().cpu())
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x + torch.ones(3),
        lambda x: torch.cat([x, torch.ones(3)]),
        lambda x: x[torch.tensor([0, 1])],
        lambda x: torch.ones(3)[x.long()],
        lambda x: nn.functional.linear(x, torch.ones(2, 3)),
    ],
)
def test_a_mix_of_devices_is_refused(gpu, mix):
    with pytest.raises(RuntimeError, match="same device"):
        mix(torch.zeros(3, device=CUDA))


def test_a_cpu_tensor_of_one_element_without_dimensions_is_accepted(gpu):
    assert (torch.ones(3, device=CUDA) * torch.tensor(2.0)).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "draw",
    [
        lambda draws: torch.rand(3, device="cuda", generator=draws),
        lambda draws: torch.zeros(3, device="cuda").normal_(generator=draws),
        lambda draws: torch.multinomial(torch.ones(3, device="cuda"), 1, generator=draws),
        lambda draws: torch.randperm(3, device="cuda", generator=draws),
    ],
)
def test_a_generator_of_the_cpu_is_refused(gpu, draw):
    with pytest.raises(RuntimeError, match="generator"):
        draw(torch.Generator())


@pytest.mark.parametrize(
    ("what", "wait"),
    [
        ("item", lambda x: x.sum().item()),
        ("item", lambda x: float(x[0])),
        ("item", lambda x: bool(x[0] > 0)),
        ("item", lambda x: x[0].clamp(max=1) if x[0] else x),
        ("copy to the CPU", lambda x: x.tolist()),
        ("copy to the CPU", lambda x: x.cpu()),
        ("copy to the CPU", lambda x: x.to("cpu", torch.float64)),
        ("copy to the CPU", lambda x: torch.zeros(3).copy_(x)),
        ("blocking copy to the GPU", lambda x: torch.ones(3).to("cuda")),
        ("blocking copy to the GPU", lambda x: torch.ones(3).to(x.device, non_blocking=True)),
        ("blocking copy to the GPU", lambda x: torch.ones(3).pin_memory().to("cuda")),
        ("blocking copy to the GPU", lambda x: torch.tensor([1.0, 2.0], device=x.device)),
        ("blocking copy to the GPU", lambda x: x.copy_(torch.ones(3))),
        ("nonzero", lambda x: x.nonzero()),
        ("nonzero", lambda x: torch.where(x > 0)),
        ("boolean index", lambda x: x[x > 0]),
        ("boolean index", lambda x: x.clone().__setitem__(x > 0, torch.zeros((), device="cuda"))),
        ("masked_select", lambda x: x.masked_select(x > 0)),
        ("unique", lambda x: x.unique()),
        ("equal", lambda x: torch.equal(x, x)),
        ("multinomial", lambda x: torch.multinomial(x, 1)),
        ("repeat_interleave without its size", lambda x: x.repeat_interleave(x.long())),
    ],
)
def test_a_wait_is_counted_with_its_place(gpu, what, wait):
    x = torch.ones(3, device="cuda")
    assert not gpu.waits
    wait(x)
    assert gpu.waits == [f"{what} at outside the package"]


def test_the_place_of_a_wait_is_a_line_of_the_package(gpu):
    planted = {}
    exec(compile("\ndef ask(x):\n    return x.sum().item()", "/src/fgbench/layers/planted.py", "exec"), planted)
    planted["ask"](torch.ones(3, device="cuda"))
    assert gpu.waits == ["item at layers/planted.py:3"]


@pytest.mark.parametrize(
    "quiet",
    [
        lambda x: torch.ones(3).pin_memory().to("cuda", non_blocking=True),
        lambda x: x.copy_(torch.ones(3).pin_memory(), non_blocking=True),
        lambda x: torch.zeros(3, device="cuda"),
        lambda x: x.masked_fill(x > 0, 0.0),
        lambda x: torch.where(x > 0, x, 0.0),
        lambda x: x[torch.arange(2, device=x.device)],
        lambda x: torch.zeros_like(x) + x.new_ones(3),
        lambda x: x.argmax(),
        lambda x: nn.functional.dropout(x, 0.5),
    ],
)
def test_what_does_not_wait_is_not_counted(gpu, quiet):
    x = torch.ones(3, device="cuda")
    result = quiet(x)
    assert not gpu.waits
    assert result.device == CUDA


def test_views_are_no_kernels_and_bytes_are_those_read_and_written(gpu):
    x = torch.ones(4, 8, device="cuda")
    gpu.clear()
    y = x.T[:2].unsqueeze(0) + 1
    assert dict(gpu.kernels) == {"add": 1}
    assert gpu.bytes_moved == 2 * y.nbytes
    y.unsqueeze(0).zero_()
    assert gpu.kernels["zero_"] == 1


def test_writing_to_a_view_changes_its_base(gpu):
    x = torch.zeros(2, 2, device="cuda")
    x[0].add_(1)
    x[:, 1] = 5.0
    assert x.tolist() == [[1, 5], [0, 5]]


def test_a_tensor_cannot_become_an_array(gpu):
    x = torch.ones(3, device="cuda")
    with pytest.raises(TypeError, match="numpy"):
        x.numpy()
    with pytest.raises(TypeError, match="numpy"):
        np.asarray(x)


def test_saved_tensors_can_be_loaded_to_both_devices(gpu, tmp_path):
    torch.save({"x": torch.arange(3, device="cuda")}, tmp_path / "x.pt")
    loaded = torch.load(tmp_path / "x.pt", weights_only=True)["x"]
    assert not isinstance(loaded, SimulatedTensor)
    assert loaded.tolist() == [0, 1, 2]
    assert torch.load(tmp_path / "x.pt", map_location=CUDA, weights_only=True)["x"].device == CUDA


def test_shared_parameters_stay_shared(gpu):
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    nn.Sequential(first, second).to("cuda")
    assert first.weight is second.weight


def test_nothing_of_the_gpu_is_left_outside_of_it():
    with SimulatedGpu():
        x = torch.ones(3, device="cuda")
    with pytest.raises(RuntimeError, match="outside"):
        x + 1
    assert torch.ones(3).to("cpu").device.type == "cpu"


def test_tensors_without_values_take_part_in_steps_of_any_size():
    with SimulatedGpu(values=False) as gpu:
        layer = nn.Conv2d(3, 64, 3, device="cuda")
        out = layer(torch.zeros(256, 3, 1000, 1000, device="cuda"))
        out.mean().backward()
        assert layer.weight.grad.shape == (64, 3, 3, 3)
        assert gpu.bytes_moved > 2 * out.nbytes
        assert out.sum().item() == 1


def test_the_backward_pass_fills_missing_gradients_on_the_gpu(gpu):
    x = torch.ones(6, device="cuda", requires_grad=True)
    first, _ = torch.split(x * 2, [4, 2])
    torch.cat([first, first]).sum().backward()
    assert x.grad.tolist() == [4, 4, 4, 4, 0, 0]


def test_a_cpu_tensor_that_a_backward_pass_makes_is_refused(gpu):
    class Planted(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x * 2

        @staticmethod
        def backward(context, grad):
            return grad + torch.ones(3)

    with pytest.raises(RuntimeError, match="same device"):
        Planted.apply(torch.ones(3, device="cuda", requires_grad=True)).sum().backward()


@pytest.mark.parametrize(
    "resize",
    [
        lambda x: nn.functional.pad(x, (1, 1, 1, 1), mode="replicate"),
        lambda x: nn.functional.interpolate(x, (5, 5), mode="bilinear", align_corners=True),
    ],
)
def test_functions_that_torch_replaces_if_it_is_deterministic_run_too(gpu, resize):
    torch.use_deterministic_algorithms(True)
    try:
        x = torch.rand(1, 2, 4, 4)
        assert torch.equal(resize(x.to(CUDA)).cpu(), resize(x))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
