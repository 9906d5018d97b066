"""Cells taken out at two depths: the pencil network with one more layer, which changes nothing.

A depthwise convolution whose kernel is 1 in the middle and 0 around it follows the red and the
green channel, so both depths see the same map, and all is worked out with NumPy.
"""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from pencil import HEAD, attacked_image
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel, rules
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.detection import detect
from tf_taintradar.detection.testimony import combine
from tf_taintradar.detection.windows import most_critical_cells

IMAGES = draw_images(60)


def two_depths() -> keras.Model:
    inputs = keras.Input((4, 4, 3))
    channels = keras.layers.Conv2D(2, 1, use_bias=False, name="red_green")
    same = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="same")
    outputs = keras.layers.Dense(3, use_bias=False, name="logits")
    x = keras.layers.GlobalAveragePooling2D()(same(channels(inputs)))
    model = keras.Model(inputs, keras.layers.Softmax()(outputs(x)))
    channels.set_weights([np.eye(3, dtype=np.float32)[None, None, :, :2]])
    kernel = np.zeros((3, 3, 2, 1), np.float32)
    kernel[1, 1] = 1
    same.set_weights([kernel])
    outputs.set_weights([HEAD])
    return model


def strength(logits, label):
    z = np.array(logits)
    return z[label] - np.log(np.exp(z).sum()) + z[label] - np.delete(z, label).max()


def smooth(maps):
    padded = np.pad(maps, 1, constant_values=np.nan)
    near = [padded[i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
    return np.nanmean(near, axis=0)


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (1, 4, 4, 3)).astype(np.float32)


CASES = {"the attack": attacked_image(), "noise": noise(0), "more noise": noise(49)}


@pytest.fixture(scope="module", params=CASES)
def image(request):
    return CASES[request.param]


@pytest.fixture(scope="module")
def found(image):
    opened = open_classifier(two_depths())
    assert [stage.layer for stage in opened.stages] == ["red_green", "same"]
    return detect(opened, tf.constant(image), variant=rules.Occlusion())


@pytest.fixture(scope="module")
def expected(image):
    """Regions, logits and numbers of both depths, the earlier first."""
    a = image[0, ..., :2].astype(np.float64)
    z = a.mean((0, 1)) @ HEAD
    label = int(z.argmax())
    odds = np.exp(z / 2) / np.exp(z / 2).sum()
    slope = HEAD @ ((np.eye(3)[label] - odds) / 2) / 16  # of each channel, the same in every cell
    maps = [np.maximum((a - a.mean((0, 1))) @ slope, 0), np.maximum(a @ slope, 0)]
    regions, logits = [], []
    for one in maps:
        order = np.argsort(-smooth(one).ravel(), kind="stable")
        region = np.zeros(16, bool)
        region[order[:5]] = True  # 30 % of 16 cells
        regions.append(region.reshape(4, 4))
        logits.append(a[~regions[-1]].mean(axis=0) @ HEAD)
    after = np.array([strength(one, label) for one in logits])
    loudest = np.linalg.norm(a, axis=-1).max()  # 5 % of 16 cells is one
    stirs = [(one - z).std() for one in logits]
    return regions, logits, strength(z, label) - after, -after, stirs, [loudest] * 2


def test_the_cells_are_those_of_the_smoothed_maps(found, expected):
    np.testing.assert_array_equal(found.evidence.regions[0], expected[0])


def test_what_is_left_answers(found, expected):
    np.testing.assert_allclose(found.evidence.removed_logits[0], expected[1], rtol=1e-4)


def test_falls_lacks_stirs_and_peaks(found, expected):
    names = ("falls", "lacks", "stirs", "peaks")
    for name, numbers in zip(names, expected[2:], strict=True):
        np.testing.assert_allclose(getattr(found.evidence, name)[0], numbers, rtol=1e-4)
    np.testing.assert_allclose(found.evidence.scaled[0], expected[2:], rtol=1e-4)


def test_the_deepest_lack_is_removed(found, expected):
    worst = int(np.argmax(np.max(expected[2:4], axis=0)))
    np.testing.assert_array_equal(found.tainted_region[0], expected[0][worst])
    np.testing.assert_allclose(found.cleaned_logits[0], expected[1][worst], rtol=1e-4)
    assert found.recovered_label.numpy().tolist() == [int(np.argmax(expected[1][worst]))]


def test_cells_in_several_pieces_and_ties():
    maps = np.zeros((1, 6, 6), np.float32)
    maps[0, 0, 0] = maps[0, 5, 5] = 9
    region = most_critical_cells(tf.constant(maps), 8 / 36).numpy()[0]
    expected = np.zeros((6, 6), bool)
    expected[:2, :2] = expected[4:, 4:] = True  # in the corners the mean is of fewer cells
    np.testing.assert_array_equal(region, expected)
    blind = most_critical_cells(tf.zeros((1, 6, 6)), 2 / 36).numpy()[0]
    assert np.flatnonzero(blind).tolist() == [0, 1]


def test_the_score_is_the_strongest_kind_or_half_of_all():
    def score(fall, lack, stir, peak):
        numbers = [[fall] * 2 + [-9], [lack] * 2 + [-9], [stir] * 2 + [-9], [peak] * 2 + [-9]]
        return float(combine(tf.constant([numbers], tf.float32))[0])

    assert score(1, 0.5, 0, 0) == pytest.approx(1)
    assert score(-2, 3, 0, 0) == pytest.approx(3)
    assert score(0, -1, 2, 0) == pytest.approx(1.8)
    assert score(0, -1, 0, 2) == pytest.approx(1.8)
    assert score(1, 0, 1, 1) == pytest.approx(0.9 * 1.5)
    one_depth = tf.constant([[[1.0], [2.0], [0.0], [0.0]]])
    assert float(combine(one_depth)[0]) == pytest.approx(2)


def test_one_depth_needs_no_earlier_map():
    opened = open_classifier(two_depths())
    image = tf.constant(attacked_image())
    both = detect(opened, image, variant=rules.Occlusion()).evidence
    last = detect(opened, image, variant=rules.Occlusion(depths=1)).evidence
    for name in ("regions", "falls", "lacks", "stirs", "peaks"):
        np.testing.assert_allclose(
            tf.cast(getattr(last, name)[:, 0], tf.float32),
            tf.cast(getattr(both, name)[:, 1], tf.float32),
            rtol=1e-4,
        )


# Calibration


@pytest.fixture(scope="module")
def radar():
    radar = TaintRadarModel(build_small_classifier(), variant="occlusion")
    radar.calibrate(IMAGES, 0.1, verbose=0)
    return radar


def test_calibrate_finds_scales_and_a_threshold(radar):
    assert radar.calibration.scales.shape == (4, 8)
    np.testing.assert_allclose(radar.rule.scales, radar.calibration.scales)
    found = radar.predict(IMAGES, verbose=0)
    assert found["is_adversarial"].mean() <= 0.1
    assert (found["score"] <= radar.calibration.scores[0] + 1e-4).all()
    raw = TaintRadarModel(build_small_classifier(), variant="occlusion").score(IMAGES)
    assert np.abs(raw - found["score"]).max() > 0.1


def test_scales_survive_json_saving_and_a_threshold_by_hand(radar, tmp_path):
    text = radar.calibration.to_json()
    assert "Infinity" not in text
    record = Calibration.from_json(text)
    np.testing.assert_array_equal(record.scales, radar.calibration.scales)
    again = TaintRadarModel(build_small_classifier(), variant="occlusion")
    again.calibration = record
    np.testing.assert_array_equal(again.score(IMAGES), radar.score(IMAGES))
    again.score_threshold = 1.0
    assert again.calibration is None
    again.save(tmp_path / "radar.keras")
    loaded = keras.models.load_model(tmp_path / "radar.keras")
    assert (loaded.rule, loaded.threshold) == (again.rule, 1.0)
    np.testing.assert_array_equal(loaded.score(IMAGES), radar.score(IMAGES))


def test_a_calibration_without_scales_is_refused(radar):
    document = json.loads(radar.calibration.to_json())
    document["scales"] = None
    former = Calibration.from_json(json.dumps(document))
    assert former.variant == "windows"
    fresh = TaintRadarModel(build_small_classifier())
    message = "of variant 'occlusion', this .* Make a detector with variant='windows', or calibrate"
    with pytest.raises(ValueError, match=message):
        fresh.calibration = former
    with pytest.raises(ValueError, match="`calibration` must be one with scales: calibrate"):
        fresh.calibration = dataclasses.replace(radar.calibration, scales=None)
    with pytest.raises(ValueError, match="`calibration` must be one of a rule with the settings"):
        TaintRadarModel(
            build_small_classifier(), variant=rules.Occlusion(share=0.2)
        ).calibration = radar.calibration


def test_scales_of_another_classifier_are_refused(radar):
    scales = [row[:4] for row in radar.rule.scales]
    with pytest.raises(ValueError, match="`scales` must be of 8 numbers, .* calibrate it anew"):
        TaintRadarModel(radar.classifier, variant=rules.Occlusion(scales=scales)).score(IMAGES)


def test_before_a_calibration_the_score_is_in_nats(radar):
    fresh = TaintRadarModel(radar.classifier)
    falls = np.array([fresh.explain(image).falls for image in IMAGES[:5]])
    np.testing.assert_allclose(fresh.score(IMAGES[:5]), falls.mean(axis=1), rtol=1e-4, atol=1e-4)
    assert fresh.rule.nat == 1
    scales = np.array(radar.rule.scales)
    assert radar.rule.nat == pytest.approx(1 / np.mean(scales[2, :2] - scales[1, :2]))


def test_the_picture_says_what_each_depth_saw(radar):
    explained = radar.explain(IMAGES[0])
    figure = explained.plot()
    titles = [axis.get_title() for axis in figure.axes]
    for panel, depth, where in ((2, 0, "1 map before"), (3, 1, "last map")):
        fall, lack, stir, peak = explained.scaled[:, depth]
        expected = f"{where}: fall {fall:.1f},\nlack {lack:.1f}, stir {stir:.1f}, peak {peak:.1f}"
        assert titles[panel] == expected
    assert "1 is as far out as 3 benign images in 100" in " ".join(figure.get_suptitle().split())


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        ((2, 1, 0, 0), "falls far"),
        ((1, 2, 0, 0), "lacks much"),
        ((0, 0, 2, 0), "whole answer moves"),
        ((0, 0, 0, 2), "louder than in benign images"),
        ((1, 1, 1, 1), "together"),
    ],
)
def test_the_reason_in_words(radar, numbers, word):
    scaled = np.repeat(np.array(numbers, np.float32)[:, None], 2, axis=1)
    score = float(combine(tf.constant(scaled[None]))[0])
    explained = dataclasses.replace(radar.explain(IMAGES[0]), scaled=scaled, score=score)
    assert word in explained.reason
    assert f": {score:.2f}; 1 is as far out as" in explained.reason


def test_the_reason_without_a_calibration():
    explained = TaintRadarModel(build_small_classifier()).explain(IMAGES[0])
    assert explained.reason.endswith(f"falls far without these cells: {explained.score:.1f} nats")


def test_a_single_map_is_said(caplog):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="only")(inputs))
    classifier = keras.Model(inputs, keras.layers.Dense(3)(x))
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), np.uint8)
    radar = TaintRadarModel(classifier)
    radar.calibrate(images, 0.1, verbose=0)
    assert "looks at the last feature map alone" in caplog.text
    assert "looks at this map alone" in str(radar.diagnose(images))
    caplog.clear()
    TaintRadarModel(classifier, variant=rules.Occlusion(depths=1)).calibrate(images, 0.1, verbose=0)
    assert "alone" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depths": 0}, "`depths` must be an integer of at least 1"),
        ({"share": 1.0}, "`share` must be a fraction"),
        ({"scales": [[1.0] * 12] * 3}, "`scales` must be four rows, as"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        rules.Occlusion(**settings)
