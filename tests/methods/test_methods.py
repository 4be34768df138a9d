import pytest
import torch
from sklearn.decomposition import PCA

from fgbench.backbones import load_backbone
from fgbench.layers.bilinear import align_maps, bilinear_pool, l2_normalize, signed_sqrt
from fgbench.layers.pca import Pca
from fgbench.methods import bcnn, methods, options_of
from fgbench.methods.base import FitContext, Target, Task, parameters_of
from fgbench.util.errors import ArgumentError, FgbenchError
from fgbench.util.numeric.seeding import generator


def build(name, streams, **options):
    method = methods[name]
    loaded = {stream: load_backbone(*stream.split(":"), pretrained=False) for stream in streams}
    return method([loaded[s] for s in streams], Task(4, 64), method.Options(**options), generator(0, "w")).eval()


def images(n=3, size=64):
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator(1, "images"))


def build_fitted(name, streams, **options):
    method = build(name, streams, **options)
    with torch.inference_mode():
        method.fit(lambda: iter([images(), images(2)]), FitContext(5, generator(0, "fit"), lambda what: None))
    return method


def test_equal_streams_are_one_network():
    symmetric, asymmetric = build("bcnn", ["tiny_d:conv"] * 2), build("bcnn", ["tiny_d:conv", "tiny_m:conv"])
    assert len(symmetric.streams) == 1
    assert len(asymmetric.streams) == 2
    assert symmetric(images()).embedding.shape == (3, 64 * 64)
    assert symmetric.embed(images()).shape == (3, 64 * 65 // 2)
    assert asymmetric.embed(images()).shape == (3, 64 * 48)


def test_bcnn_descriptor_is_pooled_and_normalised():
    method = build("bcnn", ["tiny_d:conv", "tiny_m:conv"])
    with torch.inference_mode():
        a, b = (stream(images()) for stream in method.streams)
        expected = l2_normalize(signed_sqrt(bilinear_pool(*align_maps(a, b))))
        assert torch.allclose(method.embed(images()), expected)
        out = method(images())
        assert torch.allclose(out.logits, method.classifier(expected), atol=1e-6)


def initialised(streams, **options):
    """Return a B-CNN with the initial weights that follow from five images."""
    method = build("bcnn", streams, **options)
    with torch.no_grad():
        method.initialise(lambda: iter([images(), images(2)]), FitContext(5, generator(0, "i"), lambda what: None))
    return method


@pytest.mark.parametrize("streams", [["tiny_m:conv", "tiny_m:conv"], ["tiny_d:conv", "tiny_m:conv"]])
def test_a_projected_stream_has_the_principal_components_of_its_maps(streams):
    method, plain = initialised(streams, projected=6), build("bcnn", streams)
    with torch.inference_mode():
        maps = torch.cat([method.streams[-1](batch) for batch in (images(), images(2))])
        cells = maps.movedim(1, -1).flatten(0, 2)
        reference = PCA(6).fit(cells.double().numpy())
        projected = method.projection(maps).movedim(1, -1).flatten(0, 2)
        expected = torch.from_numpy(reference.transform(cells.double().numpy())).float()
        torch.testing.assert_close(projected.abs(), expected.abs(), atol=1e-4, rtol=1e-3)
        first, second = align_maps(method.streams[0](images()), method.projection(method.streams[-1](images())))
        naive = l2_normalize(signed_sqrt(bilinear_pool(first, second)))
        torch.testing.assert_close(method.embed(images()), naive)  # nothing is left out as a duplicate
        assert method.embed(images()).shape[1] == plain.streams[0](images()).shape[1] * 6
    assert method.classifier.in_features == naive.shape[1]


def test_the_projection_is_trained_with_the_backbone():
    method = initialised(["tiny_m:conv", "tiny_m:conv"], projected=6)
    ids = {id(parameter) for parameter in parameters_of(method, "backbone")}
    assert {id(parameter) for parameter in method.projection.parameters()} <= ids
    method.losses(method(images()), Target(torch.tensor([0, 1, 2])))["cross_entropy"].backward()
    assert method.projection.weight.grad.abs().sum() > 0


def test_principal_components_are_of_at_most_a_thousand_images_at_equal_distances(monkeypatch):
    monkeypatch.setattr(bcnn, "PCA_IMAGES", 3)
    seen = []
    monkeypatch.setattr(
        bcnn, "fit_pca_of_maps", lambda maps, dims: seen.extend(maps) or Pca(torch.zeros(48), torch.zeros(6, 48))
    )
    method = initialised(["tiny_m:conv", "tiny_m:conv"], projected=6)
    with torch.no_grad():
        whole = torch.cat([method.streams[0](batch) for batch in (images(), images(2))])
    torch.testing.assert_close(torch.cat(seen), whole[[0, 2, 4]])


def test_bcnn_descriptors_of_the_square_root_alone_are_those_of_a_naive_computation():
    streams = ["tiny_d:conv", "tiny_m:conv"]
    method, other = build("bcnn", streams, normalization="sqrt"), build("bcnn", streams)
    with torch.inference_mode():
        a, b = align_maps(*(stream(images()) for stream in method.streams))
        cells = a.shape[2] * a.shape[3]
        for image, (descriptor, logits) in enumerate(zip(method.embed(images()), method(images()).logits, strict=True)):
            products = sum(torch.outer(a[image, :, y, x], b[image, :, y, x]) for y in range(a.shape[2])
                           for x in range(a.shape[3])) / cells  # fmt: skip
            naive = (products.sign() * products.abs() ** 0.5).flatten()
            torch.testing.assert_close(descriptor, naive)
            torch.testing.assert_close(logits, method.classifier(naive / naive.norm()), atol=1e-5, rtol=1e-4)
        assert (method.embed(images()).norm(dim=1) - 1).abs().min() > 0.1
        # The softmax layer learns the same with both normalisations.
        torch.testing.assert_close(method(images()).logits, other(images()).logits)
        torch.testing.assert_close(l2_normalize(method.embed(images())), other.embed(images()))


@pytest.mark.parametrize("options", [{}, {"pyramid": 2}, {"normalization": "sqrt"}])
def test_bcnn_descriptors_without_duplicates_keep_inner_products(options):
    method = build("bcnn", ["tiny_d:conv"] * 2, **options)
    with torch.inference_mode():
        whole, out = method(images()), method.predict(images())
        half = method.embed(images())
    assert whole.embedding.shape[1] == method.classifier.in_features
    assert half.shape[1] == whole.embedding.shape[1] * 65 // 128
    torch.testing.assert_close(half @ half.T, whole.embedding @ whole.embedding.T)
    assert torch.equal(out.embedding, half)
    assert torch.equal(out.logits, whole.logits)


def test_projected_descriptors_have_no_duplicates_to_remove():
    method = build("bcnn", ["tiny_d:conv"] * 2, pooling="tensor_sketch", dims=32)
    with torch.inference_mode():
        assert torch.equal(method.embed(images()), method(images()).embedding)


def test_fc_cnn_descriptor_has_unit_length_and_logits_come_from_the_features():
    method = build("fc_cnn", ["tiny_d:pool"])
    with torch.inference_mode():
        out = method(images())
        assert torch.allclose(out.embedding.norm(dim=1), torch.ones(3), atol=1e-5)
        assert torch.allclose(out.logits, method.classifier(method.backbone(images())))


def test_fv_cnn_shares_layers_with_the_fine_tuned_network():
    method = build("fv_cnn", ["tiny_d:conv", "tiny_d:pool"], words=2)
    shared = dict(method.backbone.named_parameters())
    tuned = dict(method.finetuned.named_parameters())
    assert shared
    assert all(shared[name] is tuned[name] for name in shared)
    loss = method.losses(method(images()), Target(torch.tensor([0, 1, 2])))["cross_entropy"]
    loss.backward()
    assert next(iter(shared.values())).grad is not None
    names = [p for group in ("classifier", "backbone") for p in parameters_of(method, group)]
    assert len(names) == len({id(p) for p in names}) == len(tuned) + 2


def test_fisher_methods_fit_encode_and_survive_a_checkpoint(tmp_path):
    for method, dims in (
        (build_fitted("fv_cnn", ["tiny_d:conv"], words=2, samples_per_word=20), 2 * 2 * 64),
        (build_fitted("fv_sift", [], words=3, pca=10, samples_per_word=30), 2 * 3 * 10),
    ):
        with torch.inference_mode():
            embedding = method.embed(images())
            assert embedding.shape == (3, dims)
            torch.save(method.state_dict(), tmp_path / "m.pt")
            restored = type(method)(
                [load_backbone("tiny_d", "conv", pretrained=False)] if dims == 256 else [], Task(4, 64), method.options,
                generator(5, "w"),
            ).eval()  # fmt: skip
            restored.load_state_dict(torch.load(tmp_path / "m.pt", weights_only=True))
            assert torch.equal(restored.embed(images()), embedding)


def test_fv_sift_images_of_a_batch_are_independent():
    method = build_fitted("fv_sift", [], words=3, pca=10, samples_per_word=30)
    with torch.inference_mode():
        together, alone = method.embed(images()), [method.embed(image[None]) for image in images()]
    torch.testing.assert_close(together, torch.cat(alone))
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_misuse_raises():
    with pytest.raises(ArgumentError, match="two streams"):
        build("bcnn", ["tiny_d:conv"])
    with pytest.raises(ArgumentError, match="one stream"):
        build("fc_cnn", ["tiny_d:pool"] * 2)
    with pytest.raises(ArgumentError, match="one or two streams"):
        build("fv_cnn", [])
    with pytest.raises(ArgumentError, match="no network"):
        build("fv_sift", ["tiny_d:conv"])
    with pytest.raises(FgbenchError, match="not been fitted"):
        build("fv_sift", []).embed(images())
    with pytest.raises(FgbenchError, match="did you mean 'bcnn'"):
        methods["bccn"]


def test_wrong_options_raise():
    with pytest.raises(ArgumentError, match="unknown key 'wrods'; did you mean 'words'"):
        options_of("fv_cnn", {"wrods": 3})
    with pytest.raises(ArgumentError, match="options of fv_sift: 'pca'"):
        options_of("fv_sift", {"pca": 500})
