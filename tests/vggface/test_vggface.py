"""VGG-Face: its form, and that no weights are ever lost in silence."""

import h5py
import numpy as np
import pytest
from keras_2_file import write

from tf_taintradar import TaintRadarModel
from tf_taintradar.errors import WeightsError
from tf_taintradar.vggface import VGGFace, from_keras_vggface, label_names, load_weights
from tf_taintradar.vggface.release import download, weights_file

SMALL = {"classes": 5, "input_shape": (48, 64, 3), "width": 1 / 32}


def filled(model, seed=1):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture
def small():
    return filled(VGGFace(**SMALL))


def test_the_published_form():
    model = VGGFace()
    assert model.count_params() == 145_002_878
    assert [layer.name for layer in model.layers[1:]] == [
        *("conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2"),
        *("conv3_1", "conv3_2", "conv3_3", "pool3", "conv4_1", "conv4_2", "conv4_3", "pool4"),
        *("conv5_1", "conv5_2", "conv5_3", "pool5", "flatten"),
        *("fc6", "fc6_relu", "fc7", "fc7_relu", "fc8", "fc8_softmax"),
    ]
    assert model.get_layer("conv5_3").output.shape == (None, 14, 14, 512)
    assert model.output_shape == (None, 2622)


def test_without_the_top():
    assert VGGFace(include_top=False, width=1 / 32).output_shape == (None, 7, 7, 16)


def test_a_detector_finds_its_layer(small):
    radar = TaintRadarModel(small, preprocessor="vggface")
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8)
    seen = radar.diagnose(images)  # conv5_3 has 3 x 4 cells at this size
    assert (seen.feature_layer, seen.coarse_layer) == ("conv4_3", "conv5_3")
    assert radar.answer(images)["predictions"].shape == (3, 5)


@pytest.mark.parametrize("whole", [False, True])
def test_files_of_keras_2(small, tmp_path, whole):
    path = write(tmp_path / "face.h5", small, whole=whole)
    loaded = VGGFace(weights=path, **SMALL)
    for ours, theirs in zip(loaded.get_weights(), small.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_file_with_the_top_serves_without_it(small, tmp_path):
    path = write(tmp_path / "face.h5", small)
    loaded = VGGFace(include_top=False, weights=path, **SMALL)
    np.testing.assert_array_equal(
        loaded.get_layer("conv5_3").get_weights()[0], small.get_layer("conv5_3").get_weights()[0]
    )


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_files_of_keras_3(small, tmp_path, suffix):
    path = tmp_path / f"face{suffix}"
    small.save(path) if suffix == ".keras" else small.save_weights(path)
    loaded = VGGFace(weights=path, **SMALL)
    np.testing.assert_array_equal(loaded.get_weights()[0], small.get_weights()[0])
    with pytest.raises(WeightsError, match="Cannot load"):
        VGGFace(weights=path, **{**SMALL, "classes": 7})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            {"without": ("fc6", "fc7", "fc8")},
            "lacks 3 of the 16 layers: fc6, fc7, fc8.*include_top",
        ),
        ({"without": ("conv3_2",)}, "lacks 1 of the 16 layers: conv3_2.*another network"),
        (
            {"change": lambda name, w: w[..., :-1] if name == "fc8" else w},
            r"fc8 has weights of shape .*Build the network with the file's `classes`",
        ),
        ({"change": lambda name, w: w * np.nan if name == "fc7" else w}, "NaN.*fc7"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(small, tmp_path, spoil, message):
    path = write(tmp_path / "face.h5", filled(VGGFace(**SMALL), seed=2), **spoil)
    before = small.get_weights()
    with pytest.raises(WeightsError, match=message):
        load_weights(small, path)
    for now, then in zip(small.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_files_that_cannot_be_read(small, tmp_path):
    path = write(tmp_path / "face.h5", small)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(WeightsError, match="may be cut off"):
        load_weights(small, path)
    (tmp_path / "text.h5").write_text("not found")
    with pytest.raises(WeightsError, match="Cannot read"):
        load_weights(small, tmp_path / "text.h5")
    with pytest.raises(WeightsError, match="There is no weights file"):
        load_weights(small, tmp_path / "none.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(WeightsError, match="Cannot read"):
        load_weights(small, tmp_path / "other.h5")


def test_a_download_is_kept_and_checked(small, tmp_path):
    release, keep = tmp_path / "release", {"folder": tmp_path / "keras"}
    release.mkdir()
    write(release / "rcmalli_vggface_tf_vgg16.h5", small)
    path = download(weights_file(include_top=True), release=f"{release.as_uri()}/", **keep)
    assert path.is_relative_to(tmp_path / "keras")
    assert len(path.with_suffix(".sha256").read_text().strip()) == 64
    assert (
        download(weights_file(include_top=True), release="file:///nowhere/", **keep) == path
    )  # not again
    np.testing.assert_array_equal(
        VGGFace(weights=path, **SMALL).get_weights()[0], small.get_weights()[0]
    )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="is not the file that was downloaded"):
        download(weights_file(include_top=True), release="file:///nowhere/", **keep)
    with pytest.raises(WeightsError, match="Download it by other means"):
        download(weights_file(include_top=False), release="file:///nowhere/", **keep)


@pytest.mark.parametrize(
    "change",
    [{"classes": 1}, {"width": 0}, {"input_shape": (32, 32, 3)}, {"input_shape": (64, 64)}],
)
def test_arguments_are_checked(change):
    with pytest.raises(ValueError, match=f"`{next(iter(change))}` must be"):
        VGGFace(**change)


def test_what_cannot_be_taken_over(small, tmp_path):
    assert from_keras_vggface(small) is small
    with pytest.raises(WeightsError, match="holds only weights: build the network first"):
        from_keras_vggface(write(tmp_path / "face.h5", small))
    with pytest.raises(WeightsError, match="`network` must be a model"):
        from_keras_vggface(3)
    with pytest.raises(WeightsError, match="Cannot read"):
        from_keras_vggface(tmp_path / "none.h5")


def test_names_of_the_labels(tmp_path):
    np.save(tmp_path / "names.npy", np.array(["A.J._Buckley", " Aamir_Khan"]))
    assert label_names(tmp_path / "names.npy") == ["A.J. Buckley", "Aamir Khan"]
    np.save(tmp_path / "bytes.npy", np.array([b"A.J._Buckley"]))
    assert label_names(tmp_path / "bytes.npy") == ["A.J. Buckley"]
    np.save(tmp_path / "numbers.npy", np.arange(3))
    (tmp_path / "broken.npy").write_bytes(b"no names")
    with pytest.raises(WeightsError, match="a name for each label. Received: int64"):
        label_names(tmp_path / "numbers.npy")
    for name in ("broken.npy", "none.npy"):
        with pytest.raises(WeightsError, match=f"Cannot read names.*{name}"):
            label_names(tmp_path / name)
