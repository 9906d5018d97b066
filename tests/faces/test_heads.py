"""Last layers of face classifiers: what is kept of a network, and prototypes."""

import shutil

import keras
import numpy as np
import pytest
from drawn_people import draw_people

from tf_taintradar import TaintRadarModel, faces
from tf_taintradar.errors import ImageError, UnsupportedClassifierError
from tf_taintradar.faces.heads import choose_scale, embedding_of, make_prototypes, unit
from tf_taintradar.vggface import VGGFace

SIZE = 32


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Three subjects with 6 photographs each."""
    return draw_people(tmp_path_factory.mktemp("people"), [6] * 3, size=SIZE)


@pytest.fixture
def network():
    """An embedding network: a global depthwise convolution, a linear layer, unit norm."""
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Conv2D(16, 5, strides=4, activation="relu", name="conv")(images)
    x = keras.layers.DepthwiseConv2D(x.shape[1:3], name="global")(x)
    x = keras.layers.Conv2D(8, 1, name="linear")(x)
    return keras.Model(images, keras.layers.UnitNormalization()(keras.layers.Flatten()(x)))


def classifier_of(network, **last):
    answers = keras.layers.Dense(4, name="names", **last)(network.output)
    return keras.Model(network.input, answers)


def test_what_is_kept_of_a_network(network):
    assert embedding_of(network).output is network.output
    named = classifier_of(network, activation="softmax")
    assert embedding_of(named).output is network.output
    apart = keras.Model(named.input, keras.layers.Softmax()(classifier_of(network).output))
    assert embedding_of(apart).output is network.output
    assert embedding_of(named, "linear").output.shape == (None, 8)
    small = VGGFace(classes=5, input_shape=(48, 48, 3), width=1 / 16)
    assert embedding_of(small).output is small.get_layer("fc7_relu").output
    several = keras.Model(network.input, [network.output, named.output])
    with pytest.raises(UnsupportedClassifierError, match="`network` must answer one embedding"):
        embedding_of(several)
    images = keras.Input((None, None, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(images))
    with pytest.raises(UnsupportedClassifierError, match="`network` must take images of one size"):
        embedding_of(keras.Model(images, pooled))


def test_prototypes_worked_out_on_paper():
    """Ann's embeddings point to 0 and 90 degrees, their mean to 45; Bob's to 180 degrees."""
    features = np.array([[3, 0], [0, 5], [-2, 0]], np.float32)
    head = make_prototypes(features, np.array([0, 0, 1]), 2)
    cosines = keras.Sequential(head.layers[:2])(np.array([[1, 1], [0, -7]], np.float32))
    half = np.sqrt(0.5)
    np.testing.assert_allclose(cosines, [[1, -half], [-half, 0]], atol=1e-6)
    scale = head.get_layer("subjects_scale").scale
    expected = np.exp(scale * np.array(cosines))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        head(np.array([[2, 2], [0, -1]], np.float32)), expected, rtol=1e-4, atol=1e-6
    )


def test_the_scale_leaves_each_photograph_out():
    one_each = unit(np.eye(3, dtype=np.float32))
    assert choose_scale(one_each, np.arange(3), 3) == 30  # nothing to choose by
    sure = np.repeat(one_each, 2, axis=0)
    assert choose_scale(sure, np.repeat(np.arange(3), 2), 3) == 64  # the surer, the likelier
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 8)
    noisy = unit((np.eye(3)[labels] + rng.normal(0, 0.6, (24, 3))).astype(np.float32))

    def loss(scale):
        total = 0.0
        for i, (own, label) in enumerate(zip(noisy, labels, strict=True)):
            rest = [noisy[(labels == k) & (np.arange(24) != i)].mean(axis=0) for k in range(3)]
            cosines = [own @ mean / np.linalg.norm(mean) for mean in rest]
            total += np.log(np.exp(np.multiply(scale, cosines)).sum()) - scale * cosines[label]
        return total

    chosen = choose_scale(noisy, labels, 3)
    assert 1 < chosen < 64
    assert loss(chosen) < min(loss(chosen - 1), loss(chosen + 1))


def test_prototypes_know_their_own_photographs(people, network, tmp_path):
    common = {"head": "prototypes", "preprocessor": "tf", "verbose": 0}
    learnt = faces.transfer(people, network, n_train=4, cache=tmp_path, **common)
    assert len(learnt.predicted) == 6
    radar = TaintRadarModel(learnt.classifier, preprocessor="tf", score_threshold=0.0)
    found = radar.predict(learnt.test.files, verbose=0)["label"]
    np.testing.assert_array_equal(found, learnt.predicted)
    again = faces.transfer(people, network, n_train=4, cache=tmp_path, **common)
    np.testing.assert_array_equal(again.predicted, learnt.predicted)
    with pytest.raises(ValueError, match='`head` must be "dense" or "prototypes"'):
        faces.transfer(people, network, head="cosines")


def gallery_and_probes(people, folder, n_gallery):
    """Two folders: the first photographs of each person, and the others."""
    for person in people.iterdir():
        for i, file in enumerate(sorted(person.iterdir())):
            part = folder / ("gallery" if i < n_gallery else "probes") / person.name
            part.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, part)
    return folder / "gallery", folder / "probes"


def test_a_gallery_of_one_photograph_a_person(people, network, tmp_path):
    gallery, probes = gallery_and_probes(people, tmp_path, 1)
    shutil.rmtree(probes / "subject1")  # nobody needs to be tested
    common = {"head": "prototypes", "preprocessor": "tf", "verbose": 0}
    learnt = faces.transfer(gallery, network, held_out=probes, **common)
    assert learnt.train.labels.tolist() == [0, 1, 2]
    assert learnt.test.labels.tolist() == [0] * 5 + [2] * 5
    assert learnt.classifier.get_layer("subjects_scale").scale == 30
    with pytest.raises(ValueError, match=r"`n_train` must leave one .*subject0 \(1\)"):
        faces.transfer(gallery, network, n_train=1, **common)


def test_a_gallery_image_that_is_also_a_probe(people, network, tmp_path):
    gallery, probes = gallery_and_probes(people, tmp_path, 3)
    shutil.copy(gallery / "subject1" / "0.png", probes / "subject1" / "other name.png")
    with pytest.raises(ImageError, match="must hold photographs that nobody.*other name.png"):
        faces.transfer(gallery, network, held_out=probes)


def test_probes_of_nobody(people, network, tmp_path):
    gallery, probes = gallery_and_probes(people, tmp_path, 3)
    (probes / "subject1").rename(probes / "Subject1")
    with pytest.raises(ImageError, match="names of subjects.*Subject1. The subjects: subject0"):
        faces.transfer(gallery, network, held_out=probes)
    with pytest.raises(ImageError, match="names of subjects.*It has none"):
        faces.transfer(gallery, network, held_out=probes / "subject0")


def test_names_that_differ_in_case_only(people, network, tmp_path):
    folder = shutil.copytree(people, tmp_path / "people")
    shutil.copytree(folder / "subject2", folder / "SUBJECT2")
    with pytest.raises(ImageError, match="differ in more than case.*'SUBJECT2' and 'subject2'"):
        faces.transfer(folder, network)
