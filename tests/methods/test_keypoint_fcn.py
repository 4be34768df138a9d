import pytest
import torch
from made_methods import CELLS, NAMES, Planted, build, covers_all_parameters_once, grads, images, small, target
from torch import nn
from torch.nn.functional import cross_entropy

from fgbench.backbones import Backbone
from fgbench.backbones.dense_vgg import DenseVgg
from fgbench.backbones.networks import TINY_INPUT
from fgbench.layers.bilinear import bilinear_pool, l2_normalize, signed_sqrt
from fgbench.layers.coordinate_transfer import coordinate_transfer
from fgbench.layers.grid import Grid
from fgbench.layers.keypoint_maps import decode_keypoints, encode_keypoints, keypoint_loss
from fgbench.methods.localizer import Localizer
from fgbench.util.errors import ArgumentError


def build_small(streams=2, **options):
    return build("keypoint_fcn", [small(6), small(5, seed=1)][:streams], **options)


def plant(method, **options):
    method.localizer.score = Planted(**options)
    return method


def dense(seed=0, same=True):
    """A small VGG-16: maps of stride 16 with 512 channels, and fc7 of stride 32 with 10 channels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        maps = nn.Sequential(nn.Conv2d(3, 512, 16, 16), nn.ReLU())
        top = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(512, 10, 1), nn.ReLU())
    return Backbone("vgg16", "fcn7_same" if same else "fcn7", DenseVgg(maps, top), TINY_INPUT, 10).eval()


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_pools_at_true_keypoints_in_training_and_at_predicted_ones_in_testing(pool):
    method = plant(build_small(pool=pool))
    maps, grid = method.own(images()), Grid(2.0, 4.0)
    assert method.grid == grid
    predicted = torch.tensor([[[2.0 + 4 * column, 2 + 4 * row] for row, column in CELLS]]).expand(3, -1, -1)
    truth = target()
    for out, points in ((method(images()), predicted), (method(images(), truth), truth.keypoints)):
        expected = l2_normalize(coordinate_transfer(maps, points, grid, 3, pool))
        assert torch.equal(out.embedding, expected)
        assert torch.equal(out.logits, method.classifier(expected))
        assert torch.equal(out.keypoints[..., :2], predicted)
        assert torch.allclose(out.keypoints[..., 2], torch.tensor(4.0).sigmoid())


def test_invisible_keypoints_are_pooled_as_zeros():
    method, truth = build_small(), target()
    truth.keypoints[0, 2, 2] = 0
    truth.keypoints[1, [0, 5], 2] = 0
    rows = method(images(), truth).embedding.view(3, 6, 5)
    hidden = rows.abs().sum(dim=2) == 0
    assert hidden.nonzero().tolist() == [[0, 2], [1, 0], [1, 5]]
    # In testing, keypoints below the threshold are invisible.
    method = plant(build("keypoint_fcn", [small(6), small(5, seed=1)], names=("back", "belly", "tail", "breast", "wing",
                         "eye")), tops=(4.0, -8, 4, 4, 4, -8))  # fmt: skip
    assert (method(images()).embedding.view(3, 6, 5).abs().sum(dim=2) == 0)[0].tolist() == [0, 1, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("holistic", "extra_dims"), [("none", 0), ("fc7", 5), ("full", 25), ("tensor_sketch", 9), ("random_maclaurin", 9)]
)
def test_descriptor_of_the_whole_image(holistic, extra_dims):
    method = build_small(holistic=holistic, dims=9)
    out = method(images(), target())
    assert out.embedding.shape == (3, 6 * 5 + extra_dims)
    assert out.logits.shape == (3, 4)
    maps = method.own(images())
    whole = out.embedding[:, 30:]
    if holistic == "fc7":
        assert torch.allclose(whole, l2_normalize(maps.mean(dim=(2, 3))), atol=1e-6)
    elif holistic == "full":
        assert torch.allclose(whole, l2_normalize(signed_sqrt(bilinear_pool(maps, maps))), atol=1e-6)
    elif holistic != "none":
        assert torch.allclose(whole, l2_normalize(signed_sqrt(method.pool(maps, maps))), atol=1e-6)


def test_one_stream_is_used_for_both_networks():
    method = build_small(streams=1)
    assert method.own is None
    assert method.modules_of("backbone") == method.modules_of("localizer") == [method.localizer.backbone]
    maps = method.localizer.backbone(images())
    assert torch.equal(method.trunk(images()), maps.flatten(1))
    expected = l2_normalize(coordinate_transfer(maps, target().keypoints, Grid(2.0, 4.0), 3))
    assert torch.equal(method(images(), target()).embedding, expected)
    weights = [*method.localizer.backbone.parameters()]
    losses = method.losses(method(images(), target()), target())
    for loss in losses.values():
        assert any(grads(loss, weights))


@pytest.mark.parametrize("same", [True, False])
def test_one_dense_network_pools_fc7(same):
    """Scores and features both come from fc7, at stride 32."""
    backbone = dense(same=same)
    method = build("keypoint_fcn", [backbone], px=224, holistic="full")
    truth = target(size=224)
    assert method.grid == Grid(16.0 if same else 112.0, 32.0)
    top = backbone(images(size=224))
    out = method(images(size=224), truth)
    expected = l2_normalize(coordinate_transfer(top, truth.keypoints, method.grid, 3))
    assert torch.equal(out.embedding[:, :60], expected)
    assert torch.allclose(out.embedding[:, 60:], l2_normalize(signed_sqrt(bilinear_pool(top, top))), atol=1e-6)


def test_two_dense_networks_score_on_fc7_and_pool_the_last_map():
    localization, classification = dense(), dense(1)
    method = build("keypoint_fcn", [localization, classification], px=224, holistic="fc7")
    truth = target(size=224)
    assert method.localizer.grid == Grid(16.0, 32.0)
    maps, top = classification.with_map(images(size=224))
    assert method.grid == Grid(8.0, 16.0)
    assert maps.shape == (3, 512, 14, 14)
    out = method(images(size=224), truth)
    pooled = l2_normalize(coordinate_transfer(maps, truth.keypoints, Grid(8.0, 16.0), 3))
    assert torch.allclose(out.embedding, torch.cat([pooled, l2_normalize(top.mean(dim=(2, 3)))], dim=1), atol=1e-6)
    assert torch.allclose(out.extra["scores"], method.localizer.score(localization(images(size=224))), atol=1e-5)


@pytest.mark.parametrize("streams", [1, 2])
def test_trunk_then_head_equals_forward(streams):
    method = build_small(streams=streams, holistic="full")
    flat = method.trunk(images())
    assert flat.dim() == 2
    for truth in (None, target()):
        split, whole = method.head(flat, truth), method(images(), truth)
        for one, other in zip(split[:3], whole[:3], strict=True):
            assert torch.equal(one, other)
        assert torch.equal(split.extra["scores"], whole.extra["scores"])


def test_three_keypoints_of_head_and_body_are_always_visible():
    """One keypoint has a confidence of 0.99, all others are below the threshold."""
    tops = (5.0, -3.0, -4.0, -5.0, -6.0, -7.0, -8.0)
    names = ("throat", "beak", "crown", "nape", "back", "belly", "tail")
    method = build("keypoint_fcn", [small(6)], names=names)
    scores = torch.full((2, 7, 8, 8), -20.0)
    for keypoint, top in enumerate(tops):
        scores[:, keypoint, keypoint, 3] = top
    predicted = method.localizer.find_keypoints(scores)
    sure = torch.tensor(tops).sigmoid()
    # The visible ones are throat, beak and crown of the head, and throat, back and belly of the body.
    expected = sure * torch.tensor([1.0, 1, 1, 0, 1, 1, 0])
    assert torch.allclose(predicted[..., 2], expected.expand(2, -1))
    assert torch.equal(predicted[..., :2], decode_keypoints(scores, Grid(2.0, 4.0), "argmax")[..., :2])


def test_threshold_decides_about_the_other_keypoints():
    names = ("back", "belly", "tail", "breast", "left leg")
    logits = torch.tensor([3.0, 2.0, 1.0, 0.1, -0.1])
    for visible, count in ((0.5, 4), (0.9, 3), (0.0, 5), (1.0, 3)):
        localizer = Localizer(small(), names, 32, "argmax", visible, torch.Generator())
        scores = torch.full((1, 5, 8, 8), -20.0)
        scores[0, :, 2, 2] = logits
        assert (localizer.find_keypoints(scores)[0, :, 2] > 0).tolist() == [k < count for k in range(5)]


def test_three_keypoints_are_visible_if_the_sigmoid_underflows():
    method = build_small()
    assert (method.localizer.find_keypoints(torch.full((1, 6, 8, 8), -200.0))[..., 2] > 0).all()


def test_refined_interpolates_between_cells():
    scores = torch.full((1, 6, 8, 8), -9.0)
    scores[:, :, 3, 3], scores[:, :, 3, 4] = 2.0, 1.5
    coarse, fine = (build_small(mode=mode).localizer.find_keypoints(scores)[0, 0] for mode in ("argmax", "refined"))
    assert coarse[:2].tolist() == [14.0, 14.0]
    assert coarse[0] + 0.5 < fine[0] < coarse[0] + 2
    assert abs(fine[1] - coarse[1]) < 0.1


def test_losses():
    method, truth = build_small(), target()
    truth.keypoints[1, 3, 2] = 0
    out = method(images(), truth)
    losses = method.losses(out, truth)
    assert tuple(losses) == method.LOSSES
    maps = encode_keypoints(truth.keypoints, Grid(2.0, 4.0), 8, 8)
    assert maps.sum() == 17
    assert torch.equal(losses["keypoints"], keypoint_loss(out.extra["scores"], maps))
    assert torch.equal(losses["cross_entropy"], cross_entropy(out.logits, truth.labels))
    scores = method.localizer.score(method.localizer.backbone(images()))
    assert torch.allclose(out.extra["scores"], scores, atol=1e-5)


def test_each_loss_trains_its_own_network():
    method = build_small()
    nn.init.normal_(method.classifier.weight)
    losses = method.losses(method(images(), target()), target())
    localization, classification = (
        [*method.localizer.parameters()],
        [*method.own.parameters(), method.classifier.weight],
    )
    assert all(grads(losses["keypoints"], localization))
    assert not any(grads(losses["keypoints"], classification))
    assert all(grads(losses["cross_entropy"], classification))
    assert not any(grads(losses["cross_entropy"], localization))


def test_groups_cover_every_parameter_once():
    covers_all_parameters_once(build_small(holistic="tensor_sketch"))


def test_half_precision_trains():
    method = build_small(holistic="full")
    with torch.autocast("cpu", torch.bfloat16):
        loss = sum(method.losses(method(images(), target()), target()).values())
    loss.backward()
    assert torch.isfinite(loss)
    assert method(images()).keypoints.dtype == torch.float32


def test_misuse_raises():
    assert type(build_small()).NEEDS == ("parts",)
    with pytest.raises(ArgumentError, match="images with keypoints"):
        build("keypoint_fcn", [small()], names=())
    with pytest.raises(ArgumentError, match="one or two streams"):
        build("keypoint_fcn", [small(seed=k) for k in range(3)])
    assert len(NAMES) == 6


@pytest.mark.parametrize(
    ("groups", "runs"),
    [(("score", "localizer"), 0), (("classifier", "score", "localizer"), 1), (("backbone",), 1), ((), 1)],
)
def test_classification_network_runs_only_in_stages_that_use_it(groups, runs):
    method, calls = build_small(), []
    method.own.register_forward_hook(lambda *_: calls.append(1))
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
    assert out.logits.shape == expected.logits.shape
    assert torch.equal(method.losses(out, target())["keypoints"], method.losses(expected, target())["keypoints"])
