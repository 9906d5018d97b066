"""A SavedModel asked in Python."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_taintradar.errors import ImageError, ServingError
from tf_taintradar.serving import load


@pytest.fixture(scope="module")
def detector(exported):
    return load(exported.folder)


@pytest.fixture(scope="module")
def expected(exported):
    return exported.radar.predict(exported.images, verbose=0)


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].dtype == other[name].dtype, name
        if name == "file":
            assert one[name].tolist() == other[name].tolist()
            continue
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=1e-6, err_msg=name)


def test_every_form_of_input_is_answered_as_by_the_detector(
    detector, exported, expected, tmp_path, capsys
):
    images = exported.images
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i:02}.png")
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(32))).batch(5)
    files = sorted(tmp_path.iterdir())
    for form in (images, images.astype("float64"), list(images), dataset, tmp_path, files):
        same(detector.predict(form), expected)
    same(detector.predict(images, batch_size=3), expected)
    assert capsys.readouterr().out == ""


def test_each_row_names_its_file(detector, exported, tmp_path):
    """Kinds: which row is which file; order of frames."""
    for name, image in zip(("10", "9", "a/1"), exported.images, strict=False):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    found = detector.predict(tmp_path, return_files=True)
    assert found["file"].tolist() == [f"{tmp_path}/{name}.png" for name in ("9", "10", "a/1")]
    same(found, exported.radar.predict(tmp_path, verbose=0, return_files=True))
    with pytest.raises(ValueError, match="`return_files`.*folder.*type ndarray"):
        detector.predict(exported.images, return_files=True)


def test_steps_end_what_never_ends(detector, exported, expected):
    def batches():
        while True:
            yield exported.images[:3]
            yield exported.images[3:5]

    found = detector.predict(batches(), steps=2)
    same(found, {name: values[:5] for name, values in expected.items()})


def test_floats_are_not_rounded(detector, exported):
    images = np.clip(exported.images + 0.4, 0, 255).astype(np.float32)
    same(detector.predict(images), exported.radar.predict(images, verbose=0))
    mixed = np.concatenate([images, exported.images])
    same(detector.predict(mixed, 32), exported.radar.predict(mixed, 32, verbose=0))


def test_progress_is_shown_on_request(detector, exported, capsys):
    detector.predict(exported.images, verbose=1)
    assert "32/32" in capsys.readouterr().out


def test_bad_images_are_refused_as_by_the_detector(detector, exported):
    for bad in (exported.images[0], exported.images / 255, exported.images[:, :20], "gone.png"):
        with pytest.raises(ImageError) as ours:
            detector.predict(bad)
        with pytest.raises(ImageError) as theirs:
            exported.radar.predict(bad, verbose=0)
        assert str(ours.value) == str(theirs.value)
    with pytest.raises(ValueError, match="`batch_size`"):
        detector.predict(exported.images, batch_size=0)


def test_it_knows_what_it_is(detector, exported):
    assert detector.path == exported.folder
    text = (exported.folder / "assets" / "metadata.json").read_text()
    assert detector.metadata == json.loads(text)
    assert detector.class_names == ["cat", "dog", "owl", "fox", "bee"]


def test_the_newest_version_is_taken(exported, tmp_path):
    for name in ("2", "10", "models-old"):
        os.symlink(exported.folder, tmp_path / name)
    assert load(str(tmp_path)).path == tmp_path / "10"
    assert load(tmp_path / "2").path == tmp_path / "2"


def without_metadata(folder):
    (folder / "assets" / "metadata.json").unlink()


def with_broken_metadata(folder):
    (folder / "assets" / "metadata.json").write_text("{")


def with_other_metadata(folder):
    (folder / "assets" / "metadata.json").write_text('{"name": "another"}')


def with_broken_graph(folder):
    (folder / "saved_model.pb").write_bytes(b"no graph")


def without_weights(folder):
    shutil.rmtree(folder / "variables")


def without_graph(folder):
    (folder / "saved_model.pb").unlink()


def of_another_model(folder):
    module = tf.Module()
    module.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec((None,), tf.float32)])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.f})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, r"no SavedModel in .*Expected a folder with saved_model\.pb"),
        (without_graph, "no SavedModel in"),
        (without_metadata, r"metadata\.json is missing.*export_savedmodel"),
        (with_broken_metadata, r"metadata\.json is missing or not readable"),
        (with_other_metadata, "input_shape"),
        (with_broken_graph, "cannot be loaded as a SavedModel"),
        (without_weights, "cannot be loaded as a SavedModel"),
        (of_another_model, "lacks the signatures serve_float, serving_default"),
    ],
)
def test_what_is_no_detector_is_refused(exported, tmp_path, spoil, message):
    folder = tmp_path / "1"
    shutil.copytree(exported.folder, folder)
    spoil(folder)
    for path in (folder, tmp_path):
        with pytest.raises(ServingError, match=message):
            load(path)


@pytest.mark.parametrize("which", ["occlusion", "cover", "paper"])
def test_it_explains_as_the_detector_does(request, which, tmp_path):
    exported = request.getfixturevalue(f"exported_{which}")
    image = exported.images[np.argmax(exported.radar.score(exported.images))]
    ours, theirs = load(exported.folder).explain(image), exported.radar.explain(image)
    assert type(ours) is type(theirs)
    assert ours.reason == theirs.reason
    assert ours.is_adversarial == theirs.is_adversarial
    for name, value in vars(theirs).items():
        if isinstance(value, np.ndarray | float):
            np.testing.assert_allclose(getattr(ours, name), value, atol=1e-3, err_msg=name)
    Image.fromarray(image).save(tmp_path / "photo.png")
    assert load(exported.folder).explain(tmp_path / "photo.png").score == ours.score
