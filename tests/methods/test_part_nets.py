import pytest
import torch
from made_methods import NAMES, Planted, build, covers_all_parameters_once, grads, images, small, target
from torch import nn
from torch.nn.functional import cross_entropy

from fgbench.layers.bilinear import bilinear_pool, l2_normalize, signed_sqrt
from fgbench.layers.boxes import crop_boxes
from fgbench.layers.grid import Grid
from fgbench.layers.keypoint_maps import encode_keypoints, keypoint_loss
from fgbench.util.errors import ArgumentError

PLANTED_BOXES = {"head": [6.0, 6, 14, 26], "body": [2.0, 2, 30, 30]}
"""Boxes of the keypoints that `Planted` predicts: beak, crown, nape; and back, belly, tail."""


class Recorder(nn.Module):
    """A backbone that records its inputs."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone, self.channels, self.inputs = backbone, backbone.channels, []

    def forward(self, images):
        self.inputs.append(images)
        return self.backbone(images)


def build_small(names=NAMES, **options):
    backbones = [small(6), *(Recorder(small(3 + k, seed=k)) for k in (1, 2, 3))]
    options = {"crop": 16, "context": 0.1, "pooling": "full", **options}
    return build("part_nets", backbones, names=names, **options)


def last_inputs(method):
    return {name: net.inputs[-1] for name, net in method.nets.items()}


def true_boxes(points, columns):
    places = points[:, columns, :2]
    return torch.cat([places.amin(dim=1), places.amax(dim=1)], dim=1)


def test_crops_are_at_predicted_boxes_in_testing():
    method = build_small()
    method.localizer.score = Planted()
    out = method(images())
    views = last_inputs(method)
    assert torch.equal(views["whole"], images())
    for name, box in PLANTED_BOXES.items():
        assert torch.equal(views[name], crop_boxes(images(), torch.tensor([box] * 3), 16, 0.1))
    assert torch.equal(out.keypoints[0, 0, :2], torch.tensor([10.0, 6.0]))


def test_crops_are_at_true_boxes_in_training():
    method, truth = build_small(), target()
    method.localizer.score = Planted()
    method(images(), truth)
    views = last_inputs(method)
    assert torch.equal(views["whole"], images())
    for name, columns in (("head", [0, 1, 2]), ("body", [3, 4, 5])):
        boxes = true_boxes(truth.keypoints, columns)
        assert torch.equal(views[name], crop_boxes(images(), boxes, 16, 0.1))
        assert not torch.equal(boxes, torch.tensor([PLANTED_BOXES[name]] * 3))


def test_throat_is_in_both_parts():
    method = build_small(names=("throat", "beak", "back", "nape", "tail"))
    assert method.localizer.head.tolist() == [0, 1, 3]
    assert method.localizer.body.tolist() == [0, 2, 4]


def test_missing_part_has_zero_features():
    method, truth = build_small(), target()
    whole = method(images(), truth).embedding
    truth.keypoints[1, 4, 2] = 0  # two keypoints of the body remain
    truth.keypoints[2, [0, 1], 2] = 0
    out = method(images(), truth)
    sizes = [16, 25, 36]
    for k, (part, before) in enumerate(zip(out.embedding.split(sizes, 1), whole.split(sizes, 1), strict=True)):
        missing = [n for n in range(3) if (part[n] == 0).all()]
        assert missing == [[], [2], [1]][k]
        for n in set(range(3)) - set(missing):
            assert torch.equal(part[n], before[n])


def test_embedding_concatenates_the_normalised_features_of_all_nets():
    method, truth = build_small(), target()
    out = method(images(), truth)
    descriptors = []
    for name, net in method.nets.items():
        maps = net.backbone(net.inputs[0])
        descriptors.append(l2_normalize(signed_sqrt(bilinear_pool(maps, maps))))
        assert torch.allclose(out.extra[name], method.own[name](descriptors[-1]), atol=1e-6)
    assert list(method.nets) == ["whole", "head", "body"]
    assert torch.allclose(out.embedding, torch.cat(descriptors, dim=1), atol=1e-6)
    assert torch.equal(out.logits, method.classifier(out.embedding))


@pytest.mark.parametrize("pooling", ["random_maclaurin", "tensor_sketch"])
def test_each_net_has_its_own_projection(pooling):
    method = build_small(pooling=pooling, dims=7)
    out = method(images(), target())
    assert out.embedding.shape == (3, 21)
    for name, part in zip(("whole", "head", "body"), out.embedding.split(7, 1), strict=True):
        maps = method.nets[name].backbone(method.nets[name].inputs[0])
        assert torch.allclose(part, l2_normalize(signed_sqrt(method.pools[name](maps, maps))), atol=1e-6)


def test_losses():
    method, truth = build_small(), target()
    out = method(images(), truth)
    losses = method.losses(out, truth)
    assert set(losses) == set(method.LOSSES)
    scores = method.localizer.score(method.localizer.backbone(images()))
    maps = encode_keypoints(truth.keypoints, Grid(2.0, 4.0), 8, 8)
    assert torch.equal(losses["keypoints"], keypoint_loss(out.extra["scores"], maps))
    assert torch.allclose(out.extra["scores"], scores, atol=1e-5)
    assert torch.equal(losses["cross_entropy"], cross_entropy(out.logits, truth.labels))
    for name in ("whole", "head", "body"):
        assert torch.equal(losses[name], cross_entropy(out.extra[name], truth.labels))


def test_loss_of_a_net_trains_only_that_net():
    method = build_small()
    for classifier in method.own.values():
        nn.init.normal_(classifier.weight)
    losses = method.losses(method(images(), target()), target())
    for name in method.nets:
        for other, net in method.nets.items():
            reached = grads(losses[name], [*net.parameters()])
            assert all(reached) if other == name else not any(reached)
    assert all(grads(losses["keypoints"], [*method.localizer.parameters()]))
    assert not any(grads(losses["keypoints"], [*method.nets.parameters()]))


def test_groups_cover_every_parameter_once():
    covers_all_parameters_once(build_small())
    covers_all_parameters_once(build_small(pooling="tensor_sketch", dims=8))


def test_half_precision_trains():
    method = build_small(pooling="random_maclaurin", dims=7)
    with torch.autocast("cpu", torch.bfloat16):
        loss = sum(method.losses(method(images(), target()), target()).values())
    loss.backward()
    assert torch.isfinite(loss)


def test_drawn_pictures_are_the_inputs_of_the_part_nets():
    method = build_small()
    method.localizer.score = Planted()
    method(images())
    pictures = method.draw(images())
    assert set(pictures) == {"head crop", "body crop"}
    for name in ("head", "body"):
        assert torch.equal(pictures[f"{name} crop"], last_inputs(method)[name])


def test_misuse_raises():
    assert type(build_small()).NEEDS == ("parts",)
    with pytest.raises(ArgumentError, match="four streams"):
        build("part_nets", [small()] * 3)
    with pytest.raises(ArgumentError, match="images with keypoints"):
        build("part_nets", [small()] * 4, names=())


@pytest.mark.parametrize(
    ("groups", "runs"),
    [(("score",), 0), (("score", "localizer"), 0), (("classifier", "score"), 3), (("backbone",), 3), ((), 3)],
)
def test_part_nets_run_only_in_stages_that_use_them(groups, runs):
    method, calls = build_small(), []
    for net in method.nets.values():
        net.register_forward_hook(lambda *_: calls.append(1))
    expected = method(images(), target())
    calls.clear()
    method.requires_grad_(False)
    for group in groups:
        for module in method.modules_of(group):
            module.requires_grad_()
    out = method(images(), target())
    assert len(calls) == runs
    assert torch.equal(out.extra["scores"], expected.extra["scores"])
    assert torch.equal(out.keypoints, expected.keypoints)
    losses = [method.losses(outputs, target()) for outputs in (out, expected)]
    assert losses[0].keys() == losses[1].keys()
    assert torch.equal(losses[0]["keypoints"], losses[1]["keypoints"])
