import pytest
import torch
from made_methods import Pooled, build, covers_all_parameters_once, grads, images, small, target
from torch.nn.functional import cross_entropy

from fgbench.layers.distillation import distillation_loss
from fgbench.layers.trilinear import structure_map
from fgbench.methods import tasn
from fgbench.methods.base import Target, parameters_of
from fgbench.util.errors import ArgumentError

SAMPLED = 24


def build_small(**options):
    return build("tasn", [small(5), Pooled(small(6, seed=1))], **{"size": SAMPLED, "classifier_std": 0.5, **options})


def plant_attention(method, hot, monkeypatch):
    """Replace the attention by maps of two channels that are large at one of 8 x 8 cells and differ elsewhere."""
    attention = 0.2 + 0.02 * torch.arange(2)[None, :, None, None].expand(3, 2, 8, 8).clone()
    attention[:, :, hot[0], hot[1]] = 3
    attention[:, 1, 0, 0] = 9
    monkeypatch.setattr(method, "attend", lambda images: (torch.rand(3, 5, 8, 8), attention))
    return attention


def test_testing_runs_no_part_net_and_is_deterministic():
    method = build_small(shared_head=True)
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = method(images())
    assert len(method.backbone.seen) == 1
    assert set(first.extra) == {"master", "shared"}
    assert torch.equal(first.logits, method(images()).logits)
    assert torch.equal(torch.random.get_rng_state(), before)
    method(images(), target())
    assert len(method.backbone.seen) == 4
    assert not torch.equal(torch.random.get_rng_state(), before)


def test_prediction_does_not_depend_on_the_target():
    method = build_small()
    without_target, with_target = method(images()), method(images(), target())
    assert torch.equal(without_target.logits, with_target.logits)
    assert torch.equal(without_target.embedding, with_target.embedding)
    assert torch.equal(without_target.attention, with_target.attention)


def test_channel_of_the_part_net_is_random():
    method, details = build_small(), set()
    torch.manual_seed(0)
    for _ in range(8):
        method.backbone.seen.clear()
        method(images(1), target(1))
        details.add(bytes(method.backbone.seen[1].numpy()))
    assert len(details) > 1


def test_structure_and_detail_are_sampled_separately(monkeypatch):
    method = build_small()
    attention = plant_attention(method, (5, 2), monkeypatch)
    monkeypatch.setattr(tasn, "random_channels", lambda attention, generator, unique: torch.tensor([0, 1, 0]))
    method(images(), target())
    structure, detail = method.backbone.seen
    assert structure.shape == detail.shape == (3, 3, SAMPLED, SAMPLED)
    assert structure.dtype == detail.dtype == torch.uint8
    assert not torch.equal(structure, detail)
    assert torch.equal(structure, method.sample(images(), structure_map(attention)))
    for n, channel in enumerate((0, 1, 0)):
        assert torch.equal(detail[n], method.sample(images()[n : n + 1], attention[n : n + 1, channel])[0])


def test_only_the_structure_map_is_squared(monkeypatch):
    """As in the official code."""
    method = build_small(squared=True)
    attention = plant_attention(method, (5, 2), monkeypatch)
    monkeypatch.setattr(tasn, "random_channels", lambda attention, generator, unique: torch.tensor([0, 0, 0]))
    method(images(), target())
    structure, detail = method.backbone.seen
    assert torch.equal(structure, method.sample(images(), structure_map(attention), squared=True))
    assert torch.equal(detail, method.sample(images(), attention[:, 0]))


def test_uniform_attention_keeps_the_image():
    method = build_small(size=32)
    assert torch.equal(method.sample(images(), torch.ones(3, 8, 8)), images())


@pytest.mark.parametrize("reading", ["paper", "code"])
def test_density_counts_all_samples_and_follows_the_attention(reading, monkeypatch):
    method = build_small(reading=reading)
    plant_attention(method, (5, 2), monkeypatch)
    density = method(images()).attention
    assert density.shape == (3, 8, 8)
    assert (density >= 0).all()
    assert torch.allclose(density.sum(dim=(1, 2)), torch.full((3,), float(SAMPLED**2)))
    # The second channel is also large in the first row and column, which are excluded.
    rows, columns = density.sum(dim=2), density.sum(dim=1)
    assert (rows[:, 1:].argmax(1) + 1 == 5).all()
    assert (columns[:, 1:].argmax(1) + 1 == 2).all()
    assert (density[:, 5, 2] > 2 * SAMPLED**2 / 64).all()


def test_density_of_uniform_attention_is_uniform(monkeypatch):
    method = build_small()
    monkeypatch.setattr(method, "attend", lambda images: (torch.rand(3, 5, 8, 8), torch.ones(3, 2, 8, 8)))
    assert torch.equal(method(images()).attention, torch.full((3, 8, 8), SAMPLED**2 / 64))


def expected_losses(method, out, labels):
    entropies = {name: cross_entropy(logits, labels) for name, logits in out.extra.items()}
    options = method.options
    soft = distillation_loss(out.extra["master"], out.extra["part"], options.temperature, detach=options.detach)
    return entropies, options.distillation * soft


def test_losses():
    method = build_small(distillation=0.7, temperature=3.0)
    out = method(images(), target())
    losses = method.losses(out, target())
    entropies, soft = expected_losses(method, out, target().labels)
    assert set(losses) == {"cross_entropy", "part", "attention", "distillation"} <= set(method.LOSSES)
    assert torch.equal(losses["cross_entropy"], entropies["master"])
    assert torch.equal(losses["part"], entropies["part"])
    assert torch.equal(losses["attention"], entropies["attention"])
    assert torch.equal(losses["distillation"], soft)


def test_shared_head_halves_the_losses_of_both_nets():
    method = build_small(shared_head=True)
    out = method(images(), target())
    losses = method.losses(out, target())
    entropies, soft = expected_losses(method, out, target().labels)
    assert set(losses) == set(method.LOSSES)
    assert torch.allclose(losses["cross_entropy"], entropies["master"] / 2)
    assert torch.allclose(losses["part"], entropies["part"] / 2)
    assert torch.allclose(losses["shared"], (entropies["shared"] + entropies["shared_part"]) / 2)
    assert torch.allclose(losses["attention"], entropies["attention"])
    assert torch.allclose(losses["distillation"], soft)


def test_inputs_of_the_heads():
    method = build_small(shared_head=True)
    out = method(images(), target())
    structure, detail = (method.backbone.backbone(sampled).mean(dim=(2, 3)) for sampled in method.backbone.seen[:2])
    heads = method.heads
    assert torch.allclose(out.embedding, structure)
    for name, expected in (
        ("master", heads["master"](structure)),
        ("shared", heads["shared"](structure)),
        ("part", heads["part"](detail)),
        ("shared_part", heads["shared"](detail)),
        ("attention", heads["attention"](method.attend(images())[0].mean(dim=(2, 3)))),
    ):
        assert torch.allclose(out.extra[name], expected, atol=1e-6)


def test_measured_head_gives_the_logits():
    method = build_small(shared_head=True, measured="shared")
    out = method(images())
    assert torch.equal(out.logits, out.extra["shared"])
    out = build_small(shared_head=True)(images())
    assert torch.equal(out.logits, out.extra["master"])


@pytest.mark.parametrize("detach", [True, False])
def test_distillation_trains_the_teacher_only_without_detach(detach):
    method = build_small(detach=detach)
    soft = method.losses(method(images(), target()), target())["distillation"]
    assert grads(soft, [method.heads["part"].weight]) == [not detach]
    assert grads(soft, [method.heads["master"].weight]) == [True]


def test_attention_blocks_the_gradient():
    method = build_small(detach=False, shared_head=True, dilations=True)
    losses = method.losses(method(images(), target()), target())
    attention_weights = parameters_of(method, "attention")
    for name, loss in losses.items():
        reached = grads(loss, attention_weights)
        assert all(reached) if name == "attention" else not any(reached)
    assert not method.attend(images())[1].requires_grad


def test_attention_is_computed_at_the_sampled_size():
    method, seen = build_small(), []
    method.attention_net.register_forward_hook(lambda module, inputs, maps: seen.append(inputs[0]))
    method(images())
    assert seen[0].shape == (3, 3, SAMPLED, SAMPLED)
    assert seen[0].dtype == torch.uint8


@pytest.mark.parametrize("antialias", [True, False])
def test_the_attention_network_has_an_input_size_of_its_own(antialias):
    method, seen = build_small(attention_size=20, attention_antialias=antialias), []
    method.attention_net.register_forward_hook(lambda module, inputs, maps: seen.append(inputs[0]))
    method(images())
    (small_images,) = seen
    assert small_images.shape == (3, 3, 20, 20)
    assert method.backbone.seen[0].shape == (3, 3, SAMPLED, SAMPLED)
    corners = images()[..., [0, 0, -1, -1], [0, -1, 0, -1]]
    assert torch.equal(small_images[..., [0, 0, -1, -1], [0, -1, 0, -1]], corners) is not antialias


def test_images_of_one_batch_share_their_batch_statistics():
    """The mean over both kinds of images is zero after batch normalisation only if they are one batch."""
    means = {}
    for joint in (True, False):
        method = build_small(joint_batch=joint)
        norm = torch.nn.BatchNorm1d(6, affine=False)
        network = method.backbone
        method.backbone = torch.nn.Sequential(network, norm)
        torch.manual_seed(0)
        features = method._features([images(), 255 - images()])
        assert [len(part) for part in features] == [3, 3]
        assert torch.cat(features).mean(dim=0).abs().max() < 1e-5
        means[joint] = float(features[0].detach().mean(dim=0).abs().max())
        assert len(network.seen) == (1 if joint else 2)
    assert means[True] > 1e-2
    assert means[False] < 1e-4


def test_batch_normalisation_before_the_head_of_the_attention_network():
    method = build_small(attention_norm=True).train()
    out = method(images(), target())
    maps = method.attend(images())[0]
    mean, variance = maps.mean(dim=(0, 2, 3)), maps.var(dim=(0, 2, 3), unbiased=False)
    normal = (maps - mean[:, None, None]) / (variance + 2e-5).sqrt()[:, None, None]
    expected = method.heads["attention"](normal.relu().mean(dim=(2, 3)))
    assert torch.allclose(out.extra["attention"], expected, atol=1e-5)


@pytest.mark.parametrize("options", [
    {}, {"dilations": True, "shared_head": True}, {"dilations": True, "dilation_bias": True, "attention_norm": True},
])  # fmt: skip
def test_groups_cover_every_parameter_once(options):
    method = build_small(**options)
    covers_all_parameters_once(method)
    losses = method.losses(method(images(), target()), target())
    assert all(grads(sum(losses.values()), [*method.parameters()]))


@pytest.mark.parametrize("biased", [True, False])
def test_dilated_convolutions_sum_their_relus(biased):
    method = build_small(dilations=True, dilation_bias=biased)
    x = torch.rand(2, 5, 8, 8)
    for layer, dilations in zip(method.dilated, ((1, 2), (1, 2, 3)), strict=True):
        bias = torch.linspace(-1, 1, 5) if biased else torch.zeros(5)
        if biased:
            layer.bias.data.copy_(bias)
        expected = sum(torch.conv2d(x, layer.weight, bias, padding=d, dilation=d).relu() for d in dilations)
        assert torch.allclose(layer(x), expected, atol=1e-6)


def test_half_precision_trains():
    method = build_small()
    with torch.autocast("cpu", torch.bfloat16):
        loss = sum(method.losses(method(images(), target()), Target(target().labels)).values())
    loss.backward()
    assert torch.isfinite(loss)


def test_drawn_pictures_are_both_sampled_images():
    pictures = build_small().draw(images())
    assert set(pictures) == {"sampled, structure", "sampled, detail"}
    assert all(p.shape == (3, 3, SAMPLED, SAMPLED) and p.dtype == torch.uint8 for p in pictures.values())


def test_misuse_raises():
    with pytest.raises(ArgumentError, match="two streams, one for attention and one for features, not 1"):
        build("tasn", [small()], size=SAMPLED)
    with pytest.raises(ArgumentError, match="cannot sample 64 px from images of 32 px"):
        build_small(size=64)
    with pytest.raises(
        ArgumentError, match=r"cannot sample 64 px from images of 32 px\n  lower options.attention_size"
    ):
        build_small(attention_size=64)
    with pytest.raises(ArgumentError, match="cannot measure a shared head"):
        build_small(measured="shared")
