import pytest
import torch
from made_methods import build, covers_all_parameters_once, grads, images, small, target, tiny

from fgbench.layers.bilinear import align_maps, l2_normalize, signed_sqrt
from fgbench.layers.spatial_lstm import causal_neighbourhood
from fgbench.methods.base import parameters_of
from fgbench.util.errors import ArgumentError

SMALL = {"hidden": 5, "dims": 7}
ATTENTION = ("glimpse", "initial", "printed")


def build_small(backbones=None, **options):
    return build("spatial_lstm", backbones or [small(6), small(4, seed=1)], **{**SMALL, **options})


def sharpen(method):
    """Make the attention far from uniform, so that its variants differ."""
    with torch.no_grad():
        method.recurrence["locations"].weight.mul_(50)
    return method


def test_features_without_projection_are_outer_products():
    method = build_small(projection="none", normalize=False)
    maps = method.trunk(images())
    cube = method.features(maps)
    assert cube.shape == (3, 24, 8, 8)
    first, second = maps[:, :6], maps[:, 6:]
    for n in range(3):
        for i in range(8):
            for j in (0, 3, 7):
                expected = torch.outer(first[n, :, i, j], second[n, :, i, j]).flatten()
                assert torch.allclose(cube[n, :, i, j], expected, atol=1e-6)


@pytest.mark.parametrize("projection", ["tensor_sketch", "random_maclaurin"])
def test_features_are_projected_at_each_location(projection):
    method = build_small(projection=projection, normalize=False)
    first, second = (stream(images()) for stream in method.streams)
    assert torch.equal(method.features(method.trunk(images())), method.project.at_each_location(first, second))
    assert method.project.dims == 7


def test_normalised_features_have_unit_length_at_every_location():
    plain, normal = build_small(normalize=False), build_small()
    maps = normal.trunk(images())
    cube, raw = normal.features(maps), plain.features(maps)
    for i in range(8):
        expected = l2_normalize(signed_sqrt(raw[:, :, i, 2]))
        assert torch.allclose(cube[:, :, i, 2], expected, atol=1e-6)
    seen = raw.abs().sum(dim=1) > 0.1
    assert seen.sum() > 100
    assert torch.allclose(cube.norm(dim=1)[seen], torch.ones(seen.sum()), atol=1e-3)


def test_maps_of_different_sizes_are_aligned():
    method = build_small(tiny("tiny_d:conv", "tiny_m:conv"))
    maps = method.trunk(images())
    first, second = (stream(images()) for stream in method.streams)
    assert torch.equal(maps, torch.cat(align_maps(first, second), dim=1))
    assert method(images()).logits.shape == (3, 4)
    one = build_small(tiny("tiny_d:conv", "tiny_d:conv"))
    assert len(one.streams) == 1
    assert torch.equal(*one.trunk(images()).chunk(2, dim=1))


@pytest.mark.parametrize("attention", ATTENTION)
def test_attention_sums_to_one(attention):
    out = sharpen(build_small(attention=attention))(images())
    assert out.attention.shape == (3, 8, 8)
    assert (out.attention >= 0).all()
    assert torch.allclose(out.attention.sum(dim=(1, 2)), torch.ones(3), atol=1e-5)
    assert torch.isfinite(out.logits).all()


def test_variants_of_attention_differ():
    embeddings = {attention: sharpen(build_small(attention=attention))(images()).embedding for attention in ATTENTION}
    for one in ATTENTION:
        for other in ATTENTION:
            assert torch.allclose(embeddings[one], embeddings[other], atol=1e-4) == (one == other)


def test_initial_attention_is_the_softmax_of_h0():
    method = sharpen(build_small(attention="initial"))
    maps = method.trunk(images())
    cube, r = method.features(maps), method.recurrence
    h0, c0 = torch.tanh(r["start_h"](cube.mean(dim=(2, 3)))), r["start_c"](cube.mean(dim=(2, 3)))
    attention = r["locations"](h0)
    assert torch.allclose(method.head(maps).attention, attention)
    first = r["first"](cube * attention[:, None] * 64, h0, c0)
    assert torch.allclose(method.head(maps).embedding, r["second"](first, h0, c0).flatten(1), atol=1e-6)


def test_uniform_initial_attention_does_not_change_the_features():
    method = build_small(attention="initial")
    torch.nn.init.zeros_(method.recurrence["locations"].weight)
    maps = method.trunk(images())
    cube, r = method.features(maps), method.recurrence
    h0, c0 = torch.tanh(r["start_h"](cube.mean(dim=(2, 3)))), r["start_c"](cube.mean(dim=(2, 3)))
    assert torch.allclose(method.head(maps).embedding, r["second"](r["first"](cube, h0, c0), h0, c0).flatten(1))


def test_printed_attention_reads_only_locations_above_and_to_the_left():
    """The last features reach only the last state. The change sums to zero and keeps the initial states."""
    method = build_small(attention="printed", normalize=False)
    cube = torch.rand(1, 7, 8, 8)
    changed = cube.clone()
    changed[..., 7, 7] += 20
    changed[..., 7, 6] -= 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, "features", lambda maps: maps)
        before, after = (method.head(maps).embedding.view(5, 8, 8) for maps in (cube, changed))
    same = (before - after).abs().amax(0) < 1e-6
    assert same[:7].all()
    assert same[7, :6].all()
    assert not same[7, 6]


@pytest.mark.parametrize("attention", ATTENTION)
def test_one_hot_attention_stays_finite(attention):
    """Softmax values underflow to zero."""
    method = build_small(attention=attention)
    with torch.no_grad():
        method.recurrence["locations"].weight.mul_(1e5)
    out = method(images())
    assert (out.attention == 0).any()
    losses = method.losses(out, target())
    assert torch.isfinite(torch.stack([*losses.values()])).all()
    method.zero_grad()
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


def test_penalty_equals_equation_5():
    for options, tau in (({}, 64 / 24), ({"tau": 0.3, "penalty": 2.5}, 0.3)):
        method = build_small(**options)
        out = method(images())
        losses = method.losses(out, target())
        assert set(losses) == set(method.LOSSES)
        expected = sum(
            sum((tau - float(value)) ** 2 for value in image.flatten()) for image in out.attention.detach()
        ) / len(out.attention)
        assert float(losses["attention_penalty"].detach()) == pytest.approx(options.get("penalty", 1) * expected, 1e-5)
        entropy = torch.nn.functional.cross_entropy(out.logits, target().labels)
        assert torch.equal(losses["cross_entropy"], entropy)


@pytest.mark.parametrize("options", [{}, {"bias": True, "projection": "none"}, {"attention": "initial"}])
def test_groups_cover_every_parameter_once(options):
    covers_all_parameters_once(build_small(**options))
    covers_all_parameters_once(build_small(tiny("tiny_m:conv", "tiny_m:conv"), **options))
    method = build_small(**options)
    assert parameters_of(method, "attention") == [method.recurrence["locations"].weight]


@pytest.mark.parametrize("attention", ATTENTION)
def test_losses_train_every_parameter(attention):
    method = build_small(attention=attention)
    torch.nn.init.normal_(method.classifier.weight)
    losses = method.losses(method(images()), target())
    assert all(grads(losses["cross_entropy"], [*method.parameters()]))
    assert all(grads(losses["attention_penalty"], parameters_of(method, "attention")))


def test_embedding_is_the_grid_of_the_second_layer():
    method = build_small()
    seen = []
    method.recurrence["second"].register_forward_hook(lambda module, inputs, states: seen.append(states))
    out = method(images())
    assert seen[0].shape == (3, 5, 8, 8)
    assert torch.equal(out.embedding, seen[0].flatten(1))
    assert torch.equal(out.logits, method.classifier(out.embedding))


@pytest.mark.parametrize("attention", ATTENTION)
def test_dropout_is_active_in_training_only(attention):
    method = build_small(attention=attention)
    assert torch.equal(method(images()).logits, method(images()).logits)
    for module in method.modules_of("recurrence"):
        module.train()
    first, second = method(images()), method(images())
    assert not torch.allclose(first.embedding, second.embedding)
    without_dropout = build_small(attention=attention, dropout=0.0)
    assert torch.equal(without_dropout(images()).logits, without_dropout.train(False)(images()).logits)
    for module in without_dropout.modules_of("recurrence"):
        module.train()
    assert torch.equal(without_dropout(images()).logits, without_dropout(images()).logits)


def test_dropout_is_before_both_layers_and_the_classifier():
    class Recorder(torch.nn.Module):
        def forward(self, x):
            shapes.append(tuple(x.shape))
            return x

    for attention in ATTENTION:
        method, shapes = build_small(attention=attention), []
        method.dropout = Recorder()
        method(images())
        assert shapes == [(3, 7, 8, 8), (3, 5, 8, 8), (3, 320)]


def test_causal_input_is_the_causal_neighbourhood():
    """Both layers read the four preceding locations."""
    method = build_small(attention="initial", input="causal", normalize=False)
    assert method.recurrence["first"].inputs == 28
    cube = torch.rand(1, 7, 8, 8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, "features", lambda maps: maps)
        out = method.head(cube)
    r, mean = method.recurrence, cube.mean(dim=(2, 3))
    h0, c0 = torch.tanh(r["start_h"](mean)), r["start_c"](mean)
    weighted = cube * out.attention[:, None] * 64
    first = r["first"](causal_neighbourhood(weighted), h0, c0)
    assert torch.allclose(out.embedding, r["second"](causal_neighbourhood(first), h0, c0).flatten(1), atol=1e-6)


def test_half_precision_trains():
    for attention in ATTENTION:
        method = build_small(attention=attention)
        with torch.autocast("cpu", torch.bfloat16):
            out = method(images())
            loss = sum(method.losses(out, target()).values())
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.allclose(out.logits.float(), method(images()).logits, atol=0.02)


def test_misuse_raises():
    with pytest.raises(ArgumentError, match="two streams, not 1"):
        build_small([small()])
    with pytest.raises(ArgumentError, match="no causal neighbourhood"):
        build_small(input="causal")
    assert build_small(input="causal", attention="printed")(images()).logits.shape == (3, 4)
