from dataclasses import fields, replace

import numpy as np

from fgbench.runs import protocol
from fgbench.runs.protocol import Protocol, train_split


def test_every_field_changes_the_hash(birds):
    plain = Protocol.of(birds)
    assert Protocol.of(birds).hash == plain.hash
    for field in fields(plain):
        value = getattr(plain, field.name)
        other = value + 1 if isinstance(value, int) else ("x",) if isinstance(value, tuple) else "x"
        assert replace(plain, **{field.name: other}).hash != plain.hash


def test_splits_contain_only_annotations_that_the_protocol_allows(birds):
    plain = Protocol.of(birds)
    test = protocol.test_split(birds, plain)
    assert test.labels is None
    assert (test.images.labels == 0).all()
    assert test.images.boxes is None
    assert test.images.parts is None
    assert len(test.images) == 12
    boxes = Protocol.of(birds, train=("boxes", "parts"), test=("boxes",))
    assert train_split(birds, boxes).images.parts.shape == (18, 15, 3)
    assert protocol.test_split(birds, boxes).images.boxes.shape == (12, 4)
    assert protocol.test_split(birds, boxes).images.parts is None


def test_training_and_test_images_are_disjoint(birds):
    plain = Protocol.of(birds)
    train, test = train_split(birds, plain), protocol.test_split(birds, plain)
    assert not set(train.images.files) & set(test.images.files)
    assert np.array_equal(train.labels, birds.labels[birds.train])


def test_control_experiment_permutes_training_labels_by_seed(birds):
    control = Protocol.of(birds, control="shuffled training labels")
    labels = birds.labels[birds.train]
    one, again = (train_split(birds, control, seed=0).labels for _ in range(2))
    assert np.array_equal(one, again)
    assert sorted(one) == sorted(labels)
    assert not np.array_equal(one, labels)
    assert not np.array_equal(one, train_split(birds, control, seed=1).labels)
