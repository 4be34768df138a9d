import pytest
import torch
from made_methods import NAMES, Planted, build, covers_all_parameters_once, grads, images, small, target
from torch import nn
from torch.nn.functional import cross_entropy

from fgbench.layers.bilinear import bilinear_pool, l2_normalize, signed_sqrt
from fgbench.layers.boxes import crop_boxes
from fgbench.layers.grid import Grid
from fgbench.layers.keypoint_maps import encode_keypoints, keypoint_loss
from fgbench.util.errors import FgbenchError

FOUND = {"head": [6.0, 6, 14, 26], "body": [2.0, 2, 30, 30]}
"""The boxes of the cells that `Planted` plants for beak, crown, nape and for back, belly, tail."""


class Watched(nn.Module):
    """A backbone that keeps what it was given."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone, self.channels, self.seen = backbone, backbone.channels, []

    def forward(self, given):
        self.seen.append(given)
        return self.backbone(given)


def made(names=NAMES, **options):
    backbones = [small(6), *(Watched(small(3 + k, seed=k)) for k in (1, 2, 3))]
    options = {"crop": 16, "context": 0.1, "pooling": "full", **options}
    return build("part_nets", backbones, names=names, **options)


def seen(method):
    return {name: net.seen[-1] for name, net in method.nets.items()}


def true_boxes(points, columns):
    chosen = points[:, columns, :2]
    return torch.cat([chosen.amin(dim=1), chosen.amax(dim=1)], dim=1)


def test_crops_are_of_found_boxes_in_test():
    method = made()
    method.localizer.score = Planted()
    out = method(images())
    views = seen(method)
    assert torch.equal(views["whole"], images())
    for name, box in FOUND.items():
        assert torch.equal(views[name], crop_boxes(images(), torch.tensor([box] * 3), 16, 0.1))
    assert torch.equal(out.keypoints[0, 0, :2], torch.tensor([10.0, 6.0]))


def test_crops_are_of_true_boxes_in_training():
    method, given = made(), target()
    method.localizer.score = Planted()
    method(images(), given)
    views = seen(method)
    assert torch.equal(views["whole"], images())
    for name, columns in (("head", [0, 1, 2]), ("body", [3, 4, 5])):
        boxes = true_boxes(given.keypoints, columns)
        assert torch.equal(views[name], crop_boxes(images(), boxes, 16, 0.1))
        assert not torch.equal(boxes, torch.tensor([FOUND[name]] * 3))


def test_the_throat_is_of_both_parts():
    method = made(names=("throat", "beak", "back", "nape", "tail"))
    assert method.columns == {"head": [0, 1, 3], "body": [0, 2, 4]}


def test_a_missing_part_has_zero_features_and_the_others_their_own():
    method, given = made(), target()
    whole = method(images(), given).embedding
    given.keypoints[1, 4, 2] = 0  # two of the body are left
    given.keypoints[2, [0, 1], 2] = 0
    out = method(images(), given)
    sizes = [16, 25, 36]
    for k, (part, before) in enumerate(zip(out.embedding.split(sizes, 1), whole.split(sizes, 1), strict=True)):
        missing = [n for n in range(3) if (part[n] == 0).all()]
        assert missing == [[], [2], [1]][k]
        for n in set(range(3)) - set(missing):
            assert torch.equal(part[n], before[n])


def test_the_embedding_is_all_nets_in_order_each_normalised():
    method, given = made(), target()
    out = method(images(), given)
    described = []
    for name, net in method.nets.items():
        maps = net.backbone(net.seen[0])
        described.append(l2_normalize(signed_sqrt(bilinear_pool(maps, maps))))
        assert torch.allclose(out.extra[name], method.own[name](described[-1]), atol=1e-6)
    assert list(method.nets) == ["whole", "head", "body"]
    assert torch.allclose(out.embedding, torch.cat(described, dim=1), atol=1e-6)
    assert torch.equal(out.logits, method.classifier(out.embedding))


@pytest.mark.parametrize("pooling", ["random_maclaurin", "tensor_sketch"])
def test_projections_are_each_nets_own(pooling):
    method = made(pooling=pooling, dims=7)
    out = method(images(), target())
    assert out.embedding.shape == (3, 21)
    for name, part in zip(("whole", "head", "body"), out.embedding.split(7, 1), strict=True):
        maps = method.nets[name].backbone(method.nets[name].seen[0])
        assert torch.allclose(part, l2_normalize(signed_sqrt(method.pools[name](maps, maps))), atol=1e-6)


def test_losses_are_those_of_keypoints_of_all_nets_and_of_each():
    method, given = made(), target()
    out = method(images(), given)
    losses = method.losses(out, given)
    assert set(losses) == set(method.LOSSES)
    scores = method.localizer.score(method.localizer.backbone(images()))
    maps = encode_keypoints(given.keypoints, Grid(2.0, 4.0), 8, 8)
    assert torch.equal(losses["keypoints"], keypoint_loss(out.extra["scores"], maps))
    assert torch.allclose(out.extra["scores"], scores, atol=1e-5)
    assert torch.equal(losses["cross_entropy"], cross_entropy(out.logits, given.labels))
    for name in ("whole", "head", "body"):
        assert torch.equal(losses[name], cross_entropy(out.extra[name], given.labels))


def test_each_nets_loss_reaches_that_net_alone():
    method = made()
    for own in method.own.values():
        nn.init.normal_(own.weight)
    losses = method.losses(method(images(), target()), target())
    for name in method.nets:
        for other, net in method.nets.items():
            reached = grads(losses[name], [*net.parameters()])
            assert all(reached) if other == name else not any(reached)
    assert all(grads(losses["keypoints"], [*method.localizer.parameters()]))
    assert not any(grads(losses["keypoints"], [*method.nets.parameters()]))


def test_groups_cover_every_parameter_once():
    covers_all_parameters_once(made())
    covers_all_parameters_once(made(pooling="tensor_sketch", dims=8))


def test_half_precision_trains():
    method = made(pooling="random_maclaurin", dims=7)
    with torch.autocast("cpu", torch.bfloat16):
        loss = sum(method.losses(method(images(), target()), target()).values())
    loss.backward()
    assert torch.isfinite(loss)


def test_pictures_are_the_crops_that_the_nets_see():
    method = made()
    method.localizer.score = Planted()
    method(images())
    drawn = method.draw(images())
    assert set(drawn) == {"head crop", "body crop"}
    for name in ("head", "body"):
        assert torch.equal(drawn[f"{name} crop"], seen(method)[name])


def test_misuse_is_told():
    assert type(made()).NEEDS == ("parts",)
    with pytest.raises(FgbenchError, match="four streams"):
        build("part_nets", [small()] * 3)
    with pytest.raises(FgbenchError, match="images with keypoints"):
        build("part_nets", [small()] * 4, names=())
