"""Attacks on disk: what is written is what was made."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from tf_taintradar.attacks import AdversarialPatch, load_patch, resize_patches, save_attack
from tf_taintradar.attacks.masks import make_mask
from tf_taintradar.errors import ImageError


@pytest.fixture
def attack(small_classifier):
    return AdversarialPatch(small_classifier, target_class=3, steps=2, shape="star", diameter=0.5)


def read(path):
    return np.asarray(Image.open(path))


def test_one_patch_for_all_images(attack, images, tmp_path):
    result = attack.universal(images, verbose=0)
    folder = save_attack(result, tmp_path / "new" / "attack")
    assert sorted(path.name for path in folder.iterdir()) == ["attack.json", "images", "patches"]
    assert len(list((folder / "images").iterdir())) == len(images)
    for i in range(len(images)):
        np.testing.assert_array_equal(read(folder / "images" / f"{i:04d}.png"), result.images[i])
    patch, mask = load_patch(folder / "patches" / "universal.png")
    np.testing.assert_array_equal(patch, result.patches[0])
    np.testing.assert_array_equal(mask, result.mask)


def test_a_patch_for_each_image_and_its_record(attack, images, tmp_path):
    result = attack.partial(images, verbose=0)
    names = [f"photo {i}" for i in range(7)]
    folder = save_attack(result, tmp_path / "attack", names=names)
    for name, patch in zip(names, result.patches, strict=True):
        np.testing.assert_array_equal(load_patch(folder / "patches" / f"{name}.png")[0], patch)
    record = json.loads((folder / "attack.json").read_text())
    assert record["target_class"] == 3
    assert record["success_rate"] == pytest.approx(result.success_rate)
    assert [image["name"] for image in record["images"]] == names
    for key, values in {
        "label": result.labels,
        "clean_label": result.clean_labels,
        "success": result.success,
        "steps": result.steps,
        "top_left": result.top_left,
    }.items():
        np.testing.assert_array_equal([image[key] for image in record["images"]], values)


def test_a_patch_that_was_read_again_makes_the_same_attack(
    attack, small_classifier, images, tmp_path
):
    result = attack.universal(images, verbose=0)
    patch, mask = load_patch(save_attack(result, tmp_path / "a") / "patches" / "universal.png")
    again = AdversarialPatch(small_classifier, target_class=3, shape=mask, diameter=0.5)
    np.testing.assert_array_equal(again.apply(patch[None], images).images, result.images)


def test_the_width_in_print(attack, images, tmp_path):
    result = attack.universal(images, verbose=0)  # 8 pixels wide
    folder = save_attack(result, tmp_path / "a", width_mm=50.8)
    with Image.open(folder / "patches" / "universal.png") as picture:
        assert picture.info["dpi"] == pytest.approx((4, 4), abs=0.02)  # 8 pixels on 2 inches


def test_a_grey_classifier_gets_grey_pictures(tmp_path, images):
    inputs = keras.Input((12, 12, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(inputs))
    grey = keras.Model(inputs, keras.layers.Dense(3)(x))
    attack = AdversarialPatch(grey, target_class=0, steps=1)
    folder = save_attack(attack.universal(images[:1, :12, :12, :1], verbose=0), tmp_path / "a")
    assert read(folder / "images" / "0000.png").shape == (12, 12)


def test_what_is_there_is_kept(attack, images, tmp_path):
    result = attack.universal(images, verbose=0)
    (tmp_path / "notes.txt").write_text("mine")
    for taken in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(FileExistsError, match="exists and is not empty: choose another"):
            save_attack(result, taken)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    save_attack(result, tmp_path / "empty")
    assert (tmp_path / "empty" / "attack.json").is_file()


def test_a_failure_leaves_nothing(attack, images, tmp_path):
    result = attack.universal(images, verbose=0)
    with pytest.raises(OSError):
        save_attack(result, tmp_path / "a", names=["no/such/folder", *"123456"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [["a"], ["a"] * 7])
def test_names_that_do_not_fit(attack, images, tmp_path, names):
    result = attack.universal(images, verbose=0)
    with pytest.raises(ValueError, match="`names` must be 7 different names"):
        save_attack(result, tmp_path / "a", names=names)
    with pytest.raises(ValueError, match="`width_mm` must be positive. Received: 0"):
        save_attack(result, tmp_path / "a", width_mm=0)


def test_what_is_no_patch(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match="text.png' cannot be read as a picture"):
        load_patch(tmp_path / "text.png")
    Image.new("RGBA", (3, 3)).save(tmp_path / "clear.png")
    with pytest.raises(ImageError, match="transparent everywhere"):
        load_patch(tmp_path / "clear.png")


def test_a_resized_patch_keeps_its_colour_up_to_the_edge():
    mask = make_mask("disk", 20)
    patch = np.array([[[[200, 100, 0]]]]) * mask[None, ..., None]
    for size in ((10, 10), (33, 33)):
        resized = resize_patches(patch, mask, size)
        assert resized.dtype == np.uint8 and resized.shape == (1, *size, 3)
        assert (resized[0][make_mask("disk", size[0]) == 1] == (200, 100, 0)).all()


def test_patches_resized_to_their_own_size_stay_as_they_are():
    rng = np.random.default_rng(0)
    patches, mask = rng.integers(0, 256, (2, 5, 7, 3), np.uint8), np.ones((5, 7), np.uint8)
    np.testing.assert_array_equal(resize_patches(patches, mask, (5, 7)), patches)


def test_patches_and_mask_that_do_not_fit():
    with pytest.raises(ImageError, match=r"with the mask's \(h, w\) = \(4, 4\)\. Received:"):
        resize_patches(np.zeros((1, 5, 5, 3)), np.ones((4, 4), np.uint8), (3, 3))
