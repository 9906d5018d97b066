"""The adversarial patch, on a network whose answers can be worked out by hand and on a real one."""

import csv

import keras
import numpy as np
import pytest
from PIL import Image

from tf_taintradar.attacks import AdversarialPatch, Penalties, Transformations
from tf_taintradar.classifier.preprocessing import PixelScaling
from tf_taintradar.errors import ImageError, UnsupportedClassifierError

RED, GREEN, BLUE = 0, 1, 2


@pytest.fixture
def colour_classifier() -> keras.Model:
    """Answers which channel of an 8x12 image is the largest: logit = mean of the channel / 100.

    To raise a logit, every pixel has to take the pure colour of the label.
    """
    inputs = keras.Input((8, 12, 3))
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="copy")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, use_bias=False)(x))
    model.set_weights([np.eye(3)[None, None], np.eye(3) / 100])
    return model


def plain(*colours):
    return np.array(colours, np.uint8)[:, None, None] * np.ones((8, 12, 1), np.uint8)


def test_the_best_patch_on_the_colour_classifier_is_the_pure_colour(colour_classifier):
    # a square of 4x4 of 96 pixels: green 60 -> (80 * 60 + 16 * 255) / 96 = 92.5, red 100 -> 83.3
    attack = AdversarialPatch(colour_classifier, target_class=GREEN, diameter=0.5, shape="square")
    result = attack.universal(plain((100, 60, 20)), verbose=0)
    np.testing.assert_array_equal(result.patches, np.full((1, 4, 4, 3), (0, 255, 0)))
    assert result.labels == [GREEN]
    assert result.success == [True]


def test_failure_is_reported(colour_classifier):
    # red 200 -> 166.7 stays ahead of green 0 -> 42.5; the second image falls as above
    attack = AdversarialPatch(colour_classifier, target_class=GREEN, diameter=0.5, shape="square")
    result = attack.universal(plain((200, 0, 0), (100, 60, 20)), verbose=0)
    np.testing.assert_array_equal(result.labels, [RED, GREEN])
    np.testing.assert_array_equal(result.success, [False, True])
    assert result.success_rate == 0.5
    assert repr(result) == (
        "AttackResult(target_class=1, images=(2, 8, 12, 3), patches=(1, 4, 4, 3), success=1/2)"
    )


def test_class_0_is_a_target_like_any_other(colour_classifier):
    # a disk of 12 of 96 pixels: red 70 -> (84 * 70 + 12 * 255) / 96 = 93.1, green 80 -> 70
    attack = AdversarialPatch(colour_classifier, target_class=RED, diameter=0.5)
    result = attack.partial(plain((70, 80, 20)), verbose=0)
    disk = result.mask[..., None] * np.array([255, 0, 0])
    np.testing.assert_array_equal(result.patches[0], disk)
    assert result.success.all()


@pytest.mark.parametrize("place", ["random", "bottom_right", (3, 7)], ids=str)
@pytest.mark.parametrize("mode", ["universal", "partial"])
def test_the_record_tells_how_the_images_were_made(small_classifier, images, mode, place):
    attack = AdversarialPatch(small_classifier, target_class=3, place=place, steps=3, batch_size=4)
    result = getattr(attack, mode)(images, verbose=0)
    assert len(result.patches) == (1 if mode == "universal" else len(images))
    assert result.mask.shape == (6, 6)  # 0.4 of the smaller side, 16, is 6.4
    if place != "random":
        corner = (24 - 6, 16 - 6) if place == "bottom_right" else place
        np.testing.assert_array_equal(result.top_left, [[corner]] * len(images))
    expected = images.copy()
    for i, ((row, column),) in enumerate(result.top_left):
        for r, c in np.argwhere(result.mask):
            expected[i, row + r, column + c] = result.patches[i % len(result.patches), r, c]
    np.testing.assert_array_equal(result.images, expected)
    predicted = small_classifier.predict(result.images, verbose=0).argmax(-1)
    np.testing.assert_array_equal(result.labels, predicted)


def test_types_of_the_record(small_classifier, images):
    result = AdversarialPatch(small_classifier, target_class=3, steps=1).universal(images)
    pixels = [result.images, result.patches, result.mask]
    assert [array.dtype for array in pixels] == ["uint8"] * 3
    numbers = [result.top_left, result.labels, result.clean_labels, result.steps]
    assert [array.dtype for array in numbers] == ["int32"] * 4
    assert result.success.dtype == bool
    assert result.patches.max() > 0
    assert not result.patches[:, result.mask == 0].any()


def test_each_step_of_a_random_attack_sees_new_places(small_classifier, images):
    drawn = []

    class Watched(AdversarialPatch):
        def draw_pose(self, n_images, rng, top_left):
            drawn.append(super().draw_pose(n_images, rng, top_left))
            return drawn[-1]

    result = Watched(small_classifier, target_class=3, steps=2).universal(images, verbose=0)
    (first,), (second,) = drawn
    final = result.top_left
    assert (first != second).any() and (second != final).any() and (first != final).any()
    assert len({tuple(place) for place in first[:, 0]}) > 1


def test_a_patch_for_one_image_is_made_for_one_place(small_classifier, images):
    drawn = []

    class Watched(AdversarialPatch):
        def draw_pose(self, n_images, rng, top_left):
            drawn.append(super().draw_pose(n_images, rng, top_left))
            return drawn[-1]

    result = Watched(small_classifier, target_class=3, steps=2).partial(images, verbose=0)
    for (places,) in drawn:
        np.testing.assert_array_equal(places, result.top_left)
    assert len({tuple(place) for place in result.top_left[:, 0]}) > 1


@pytest.mark.parametrize("mode, sizes", [("universal", [4, 4]), ("partial", [4, 4, 3, 3])])
def test_more_images_than_a_batch(small_classifier, images, mode, sizes):
    seen = []

    class Watched(AdversarialPatch):
        def draw_pose(self, n_images, rng, top_left):
            seen.append(n_images)  # at every step
            return super().draw_pose(n_images, rng, top_left)

    attack = Watched(small_classifier, target_class=3, steps=2, batch_size=4)
    getattr(attack, mode)(images, verbose=0)
    assert seen == sizes


@pytest.mark.parametrize("mode", ["universal", "partial"])
def test_attacks_succeed_on_a_network_with_random_weights(small_classifier, images, mode):
    clean = small_classifier.predict(images, verbose=0).argmax(-1)
    assert (clean == 2).mean() < 0.5
    attack = AdversarialPatch(
        small_classifier, target_class=2, diameter=0.9, place="bottom_right", steps=40
    )
    assert getattr(attack, mode)(images, verbose=0).success_rate == 1


@pytest.mark.parametrize("mode", ["universal", "partial"])
def test_the_same_seed_gives_the_same_result_and_another_seed_another(
    small_classifier, images, mode
):
    def run(seed):
        attack = AdversarialPatch(
            small_classifier, target_class=3, steps=4, batch_size=4, seed=seed
        )
        return getattr(attack, mode)(images, verbose=0)

    first, again, other = run(1), run(1), run(2)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.patches, again.patches)
    assert (first.patches != other.patches).any()
    assert (first.top_left != other.top_left).any()


def test_a_partial_patch_does_not_depend_on_the_other_images(small_classifier, images):
    attack = AdversarialPatch(small_classifier, target_class=3, place="bottom_right", steps=5)
    together = attack.partial(images, verbose=0).patches.astype(int)
    alone = attack.partial(images[2:3], verbose=0).patches.astype(int)
    # convolutions of another batch size may add in another order: a pixel may round the other way
    np.testing.assert_allclose(together[2:3], alone, atol=1)
    assert np.abs(together[2] - together[3]).max() > 1


def test_a_universal_patch_on_one_image_is_its_partial_patch(small_classifier, images):
    attack = AdversarialPatch(small_classifier, target_class=3, place=(2, 3), steps=5)
    universal, partial = attack.universal(images[:1], verbose=0), attack.partial(images[:1])
    np.testing.assert_array_equal(universal.patches, partial.patches)


def test_without_a_target_any_other_label_will_do(colour_classifier):
    # green 80 leads by 5; a dark patch on 16 of 96 pixels lets either other colour win
    attack = AdversarialPatch(colour_classifier, target_class=None, diameter=0.5, shape="square")
    result = attack.partial(plain((75, 80, 0), (0, 255, 0)), verbose=0)
    np.testing.assert_array_equal(result.clean_labels, [GREEN, GREEN])
    np.testing.assert_array_equal(result.labels, [RED, GREEN])
    np.testing.assert_array_equal(result.success, [True, False])
    assert (result.patches[..., GREEN] == 0).all()


def test_a_patch_stops_at_the_probability_and_the_others_go_on(colour_classifier):
    # green leads on the first image from the start, never comes first on the last one
    pixels = plain((100, 120, 20), (100, 90, 20), (255, 0, 0))
    half = {"target_class": GREEN, "diameter": 0.5, "shape": "square", "steps": 30}
    attack = AdversarialPatch(colour_classifier, stop_probability=0.4, **half)
    result = attack.partial(pixels, verbose=0)
    assert result.steps[0] == 0 and 0 < result.steps[1] < 30 and result.steps[2] == 30
    np.testing.assert_array_equal(result.success, [True, True, False])
    assert (result.patches[0] == 128).all()  # still the grey that it began with
    steps = int(result.steps[1])
    same = AdversarialPatch(colour_classifier, **half | {"steps": steps})
    same = same.partial(pixels, verbose=0)
    np.testing.assert_array_equal(result.patches[1], same.patches[1])
    np.testing.assert_array_equal(same.steps, [steps] * 3)


def test_one_patch_for_all_stops_at_the_mean_probability(colour_classifier, capsys):
    pixels = plain((100, 120, 20), (100, 90, 20))
    attack = AdversarialPatch(
        colour_classifier, target_class=GREEN, diameter=0.5, stop_probability=0.42
    )
    result = attack.universal(pixels)
    assert result.steps.shape == (1,) and 0 < result.steps[0] < 200
    probabilities = keras.ops.softmax(colour_classifier(result.images.astype(np.float32)))[:, GREEN]
    assert np.mean(probabilities) == pytest.approx(0.42, abs=0.01)
    assert "200/200" in capsys.readouterr().out  # the bar does not stay open


def test_several_copies_of_one_patch(small_classifier, images):
    attack = AdversarialPatch(small_classifier, target_class=3, n_patches=3, steps=3)
    result = attack.universal(images, verbose=0)
    assert result.top_left.shape == (7, 3, 2)
    expected = images.copy()
    for i, corners in enumerate(result.top_left):
        for row, column in corners:
            for r, c in np.argwhere(result.mask):
                expected[i, row + r, column + c] = result.patches[0, r, c]
    np.testing.assert_array_equal(result.images, expected)
    assert ((result.images != images).any(axis=-1).sum(axis=(1, 2)) > 2 * result.mask.sum()).all()


def test_three_copies_are_stronger_than_one(colour_classifier):
    # red 140: one patch of 9 pixels gives green (87 * 60 + 9 * 255) / 96 = 78, four give 133
    small = {"target_class": GREEN, "diameter": 3 / 8, "shape": "square"}
    pixels = plain((140, 60, 0))
    for n_patches, is_enough in ((1, False), (4, True)):
        attack = AdversarialPatch(colour_classifier, n_patches=n_patches, **small)
        assert attack.universal(pixels, verbose=0).success == [is_enough]


def test_training_on_several_sizes_gives_a_patch_of_the_largest(colour_classifier):
    attack = AdversarialPatch(
        colour_classifier, target_class=GREEN, diameter=(0.25, 0.5), shape="square", steps=50
    )
    result = attack.universal(plain((100, 60, 20)), verbose=0)
    assert result.patches.shape == (1, 4, 4, 3)
    assert (result.patches[0, ..., GREEN] > 200).all()
    assert result.success == [True]


def test_a_turned_patch_is_trained_by_other_gradients(small_classifier, images):
    def run(**settings):
        attack = AdversarialPatch(small_classifier, target_class=3, steps=4, **settings)
        return attack.universal(images, verbose=0)

    turned = {"transformations": Transformations(rotation=20, scale=(0.8, 1), noise=4)}
    plain_one, first, again = run(), run(**turned), run(**turned)
    np.testing.assert_array_equal(first.patches, again.patches)
    assert (first.patches != plain_one.patches).any()
    assert first.mask.shape == plain_one.mask.shape


def test_penalties_make_a_patch_smoother(small_classifier, images):
    def variation(penalties):
        attack = AdversarialPatch(
            small_classifier, target_class=3, steps=20, penalties=penalties, place="bottom_right"
        )
        patches = attack.universal(images, verbose=0).patches.astype(int)
        return np.abs(np.diff(patches, axis=1)).mean()

    assert variation(Penalties(smoothness=20)) < 0.7 * variation(None)


def test_printable_colours_need_three_channels():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(inputs))
    grey = keras.Model(inputs, keras.layers.Dense(3)(x))
    with pytest.raises(ValueError, match="`printability` must be 0 for images of 1 channels"):
        AdversarialPatch(grey, target_class=0, penalties=Penalties(printability=1))


def test_applying_a_finished_patch_repeats_the_attack(small_classifier, images):
    attack = AdversarialPatch(small_classifier, target_class=3, steps=5)
    for result in (attack.universal(images, verbose=0), attack.partial(images, verbose=0)):
        again = attack.apply(result.patches, images)
        np.testing.assert_array_equal(again.images, result.images)
        np.testing.assert_array_equal(again.labels, result.labels)


def test_a_universal_patch_goes_on_other_images(colour_classifier):
    attack = AdversarialPatch(colour_classifier, target_class=GREEN, diameter=0.5, shape="square")
    patch = attack.universal(plain((100, 60, 20)), verbose=0).patches
    elsewhere = attack.apply(patch, plain((90, 80, 0), (200, 0, 0), (0, 0, 60)))
    np.testing.assert_array_equal(elsewhere.success, [True, False, False])


def test_one_attack_is_traced_once(small_classifier, images):
    attack = AdversarialPatch(small_classifier, target_class=3, steps=2, batch_size=4)
    attack.universal(images, verbose=0)
    attack.partial(images, verbose=0)
    attack.partial(images[:1].astype(np.float32), verbose=0)
    assert attack._step.experimental_get_tracing_count() == 1


def test_the_classifier_and_the_images_come_back_untouched(small_classifier, images):
    before = [weight.copy() for weight in small_classifier.get_weights()]
    pixels = images.astype(np.float32)
    AdversarialPatch(small_classifier, target_class=3, steps=3).universal(pixels, verbose=0)
    for weight, old in zip(small_classifier.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert small_classifier.trainable
    np.testing.assert_array_equal(pixels, images)


def test_the_progress_bar_counts_the_steps_of_all_groups(small_classifier, images, capsys):
    attack = AdversarialPatch(small_classifier, target_class=3, steps=5, batch_size=4)
    attack.partial(images)
    assert "10/10" in capsys.readouterr().out
    attack.partial(images, verbose=0)
    assert capsys.readouterr().out == ""


def test_repr_shows_the_settings(small_classifier):
    assert repr(AdversarialPatch(small_classifier, target_class=0, place=(1, 2), seed=4)) == (
        "AdversarialPatch(target_class=0, diameter=0.4, shape='disk', place=(1, 2), n_patches=1, "
        "steps=200, learning_rate=16.0, seed=4)"
    )


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"target_class": 5}, r"`target_class` must be an integer from 0 to 4\. Received: 5"),
        ({"target_class": -1}, r"`target_class` must be an integer from 0 to 4\. Received: -1"),
        ({"target_class": 1.0}, r"`target_class` must be an integer from 0 to 4\. Received: 1.0"),
        ({"diameter": 0}, r"`diameter` must be a fraction .*\. Received: 0"),
        ({"diameter": 1.01}, r"`diameter` must be a fraction .*\. Received: 1.01"),
        ({"diameter": 0.01}, r"`diameter` must be at least one pixel, 1 / 16 here"),
        ({"diameter": ()}, r"`diameter` must be a fraction .*, or several\. Received: \(\)"),
        ({"diameter": (0.4, 2)}, r"`diameter` must be a fraction .*\. Received: \(0.4, 2\)"),
        ({"shape": "circle"}, r"`shape` must be one of disk, square, star"),
        ({"shape": np.zeros((4, 4))}, r"`shape` must paint a pixel"),
        ({"n_patches": 0}, r"`n_patches` must be an integer of at least 1\. Received: 0"),
        ({"n_patches": 9}, r"9 patches of 6x6 pixels overlap .* hold 8 at most"),
        ({"place": "bottom_right", "n_patches": 2}, r"2 patches of 6x6 pixels overlap"),
        (
            {"stop_probability": 0},
            r"`stop_probability` must be above 0 .*\. Received: 0",
        ),
        ({"stop_probability": 1.1}, r"`stop_probability` must be above 0 and at most 1, or None"),
        ({"place": "left"}, r"`place` must be"),
        ({"place": (19, 0)}, r"inside the image of 24x16: from \(0, 0\) to \(18, 10\)\. Received:"),
        ({"steps": 0}, r"`steps` must be an integer of at least 1\. Received: 0"),
        ({"learning_rate": 0}, r"`learning_rate` must be positive\. Received: 0"),
        ({"batch_size": 0}, r"`batch_size` must be an integer of at least 1\. Received: 0"),
        ({"seed": -1}, r"`seed` must be an integer of at least 0\. Received: -1"),
        ({"preprocessor": "vgg"}, r"`preprocessor` must be"),
    ],
    ids=str,
)
def test_settings_out_of_range(small_classifier, settings, message):
    with pytest.raises(ValueError, match=message):
        AdversarialPatch(small_classifier, **{"target_class": 0, **settings})


def test_the_largest_and_the_smallest_patch(small_classifier, images):
    for diameter, side in ((1, 16), (1 / 16, 1)):
        attack = AdversarialPatch(small_classifier, target_class=0, diameter=diameter, steps=1)
        assert attack.universal(images, verbose=0).patches.shape == (1, side, side, 3)


def test_what_is_no_classifier():
    with pytest.raises(UnsupportedClassifierError, match="`classifier` must be a keras.Model"):
        AdversarialPatch("squeezenet", target_class=0)


@pytest.mark.parametrize("mode", ["universal", "partial"])
def test_what_are_no_images(small_classifier, images, mode):
    attack = getattr(AdversarialPatch(small_classifier, target_class=0), mode)
    for wrong in (images[:0], images[0], images[:, :16], images - 300.0, images / 255.0):
        with pytest.raises(ImageError, match="`images` must"):
            attack(wrong)


def test_patches_of_another_size_or_number(small_classifier, images):
    attack = AdversarialPatch(small_classifier, target_class=0)
    for shape in ((6, 6, 3), (1, 5, 5, 3), (2, 6, 6, 3), (1, 6, 6, 1), ()):
        with pytest.raises(ImageError, match=r"`patches` must have shape \(1, 6, 6, 3\), or \(7, "):
            attack.apply(np.zeros(shape, np.uint8), images)
    with pytest.raises(ImageError, match="`patches` must be raw pixels from 0 to 255"):
        attack.apply(np.full((1, 6, 6, 3), 256.0), images)


@pytest.mark.slow
def test_attacks_on_squeezenet(shared):
    classifier = keras.saving.load_model(shared / "models" / "squeezenet_v1_1.keras")
    bgr = PixelScaling(reverse_channels=True, mean=(104.0, 117.0, 123.0))
    with open(shared / "data" / "imagenet_dev.csv", newline="") as table:
        files = [row["file"] for row in csv.DictReader(table)][::16]
    pictures = [Image.open(shared / "data" / "imagenet_dev" / file) for file in files]
    crops = np.stack([np.asarray(picture.convert("RGB"))[14:241, 14:241] for picture in pictures])
    attack = AdversarialPatch(
        classifier, target_class=859, preprocessor=bgr, diameter=0.4, place="bottom_right", steps=40
    )
    result = attack.universal(crops[:16], verbose=0)
    assert result.success_rate == 1
    assert attack.apply(result.patches, crops[16:]).success_rate >= 0.8
