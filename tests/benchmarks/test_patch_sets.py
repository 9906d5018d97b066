import numpy as np
import pytest
import typer
from PIL import Image


@pytest.fixture
def patch_sets(benchmark_script):
    return benchmark_script("patch_sets")


def test_a_missing_file_is_named(patch_sets, patch_folder, patch_arguments):
    with pytest.raises(typer.BadParameter, match="none.keras does not exist"):
        patch_sets.find_networks(patch_folder / "none.keras", **patch_arguments)


def test_a_missing_shared_folder_is_explained(
    patch_sets, patch_folder, patch_arguments, monkeypatch
):
    monkeypatch.setattr(patch_sets, "SHARED", patch_folder / "nowhere")
    with pytest.raises(typer.BadParameter, match="pass --model"):
        patch_sets.find_networks(None, **patch_arguments)


def test_a_network_with_its_images_and_attacks(patch_sets, patch_folder, patch_arguments):
    network = patch_sets.Network(patch_folder / "net.keras", **patch_arguments)
    size = network.classifier.input_shape[1:]
    assert (network.name, network.crops.shape) == ("net", (16, *size))
    np.testing.assert_array_equal(network.truth, [i % 5 for i in range(16)])
    (attack,) = network.attacked(limit=2)
    assert (attack.name, attack.target, attack.images.shape) == ("corner", 4, (2, *size))
    np.testing.assert_array_equal(attack.index, [0, 9])
    changed = (attack.images != network.crops[attack.index]).any(axis=-1)
    assert changed[:, 8:14, 8:14].mean() > 0.9
    changed[:, 8:14, 8:14] = False
    assert not changed.any()


def test_sets_of_many_targets_and_of_whole_images(patch_sets, patch_folder, patch_arguments):
    folder = patch_folder / "attacks/net"
    with np.load(folder / "corner.npz") as corner:
        np.savez(folder / "many.npz", **{**corner, "target": np.array([2, 3, 4])})
    np.savez(folder / "whole.npz", x=np.zeros((2, 24, 16, 3), np.uint8), y=np.array([0, 1]))
    network = patch_sets.Network(patch_folder / "net.keras", **patch_arguments)
    _, many, whole = network.attacked(limit=2)
    np.testing.assert_array_equal(many.target, [2, 3])
    assert (whole.name, whole.images.shape, whole.target) == ("whole", (2, 24, 16, 3), -1)
    np.testing.assert_array_equal(whole.index, [-1, -1])


def test_patches_replace_pixels_under_their_mask_alone(patch_sets):
    crops = [np.zeros((4, 5, 3), np.uint8), np.full((4, 5, 3), 9, np.uint8)]
    attack = {
        "patches": np.array([50, 60], np.uint8)[:, None, None, None] * np.ones((2, 2, 3), np.uint8),
        "mask": np.array([[1, 0], [1, 1]]),
        "patch_of": np.array([1]),
        "image": np.array([1]),
        "top_left": np.array([[[0, 0], [2, 3]]]),
    }
    attacked = patch_sets.attacked_images(crops, attack)
    expected = [[60, 9, 9, 9, 9], [60, 60, 9, 9, 9], [9, 9, 9, 60, 9], [9, 9, 9, 60, 60]]
    np.testing.assert_array_equal(attacked[0, :, :, 0], expected)
    assert crops[1].max() == 9  # the images themselves are not painted


def test_the_centre_of_an_image(patch_sets, tmp_path):
    pixels = np.arange(6 * 5 * 3, dtype=np.uint8).reshape(6, 5, 3)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    crop = patch_sets.centre_crop(tmp_path / "image.png", (4, 3))
    np.testing.assert_array_equal(crop, pixels[1:5, 1:4])
    with pytest.raises(ValueError, match="smaller than"):
        patch_sets.centre_crop(tmp_path / "image.png", (7, 3))


def test_images_evenly_spaced(benchmark_script):
    evenly = benchmark_script("patch_sets").evenly
    assert list(evenly(10, 4)) == [0, 3, 6, 9]
    assert list(evenly(3, None)) == list(evenly(3, 7)) == [0, 1, 2]
