"""TaintRadarModel as a Keras user meets it."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_taintradar import TaintRadarModel, fills, rules
from tf_taintradar.calibration.by_rank import RankCalibration
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.errors import (
    BlindDetectorError,
    CalibrationError,
    ImageError,
    NotCalibratedError,
)

OUTPUTS = {
    "predictions": np.float32,
    "label": np.int32,
    "is_adversarial": np.bool_,
    "rank_shift": np.int32,
    "score": np.float32,
    "recovered_label": np.int32,
}


SETTINGS = {
    "paper": {"top_k": 2, "rank_threshold": 0},
    "occlusion": {"score_threshold": 0.1},
    "windows": {"score_threshold": 0.1},
    "bands": {"variant": "bands", "score_threshold": 1.5},
    "cover": {"variant": "cover", "score_threshold": 1.53},
}


@pytest.fixture(params=SETTINGS)
def radar(request, small_classifier):
    return TaintRadarModel(small_classifier, **SETTINGS[request.param])


@pytest.fixture
def paper_radar(small_classifier):
    return TaintRadarModel(small_classifier, **SETTINGS["paper"])


def same(one, other) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], atol=1e-5, err_msg=name)


def test_predict_answers_what_the_classifier_answers_and_a_verdict(radar, small_classifier, images):
    out = radar.predict(images, verbose=0)
    assert {name: values.dtype for name, values in out.items()} == OUTPUTS
    assert all(len(values) == len(images) for values in out.values())
    expected = small_classifier.predict(images.astype("float32"), verbose=0)
    np.testing.assert_allclose(out["predictions"], expected, atol=1e-6)
    np.testing.assert_array_equal(out["label"], expected.argmax(-1))
    if radar.variant == "paper":
        np.testing.assert_array_equal(out["score"], out["rank_shift"])
    np.testing.assert_array_equal(out["is_adversarial"], out["score"] > radar.threshold)
    assert out["is_adversarial"].any()
    assert not out["is_adversarial"].all()


def test_every_form_of_input_gives_the_same_answer(radar, images, tmp_path):
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    expected = radar.predict(images, verbose=0)
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(7))).batch(3)
    files = np.array(sorted(map(str, tmp_path.iterdir())))
    forms = [images.astype("float64"), tf.constant(images), tf.Variable(images), list(images)]
    forms += [dataset, tmp_path, files, ((images[i : i + 4], [0]) for i in (0, 4))]
    for form in forms:
        same(radar.predict(form, verbose=0), expected)
    same(radar.predict(images, batch_size=2, verbose=0), expected)
    same({name: t.numpy() for name, t in radar(images).items()}, expected)
    np.testing.assert_array_equal(radar.score(images), expected["score"])


def test_each_row_names_its_file(radar, images, tmp_path):
    """Kinds: which row is which file; order of frames."""
    (tmp_path / "sub").mkdir()
    places = ["sub/b2.png", "a10.png", "sub/b10.png", "z.png", "a9.png", "a1.png", "a100.png"]
    for place, image in zip(places, images, strict=True):
        Image.fromarray(image).save(tmp_path / place)
    found = radar.predict(tmp_path, verbose=0, return_files=True)
    names = ["a1.png", "a9.png", "a10.png", "a100.png", "z.png", "sub/b2.png", "sub/b10.png"]
    assert found.pop("file").tolist() == [str(tmp_path / name) for name in names]
    rows = radar.predict(images, verbose=0)
    order = [places.index(name) for name in names]
    same(found, {name: values[order] for name, values in rows.items()})
    listed = [tmp_path / name for name in ("z.png", "a9.png", "a10.png")]
    for form in (listed, tuple(map(str, listed)), np.array(list(map(str, listed)))):
        files = radar.predict(form, batch_size=2, verbose=0, return_files=True)["file"]
        assert files.tolist() == list(map(str, listed))
    cut = radar.predict(listed, batch_size=2, steps=1, verbose=0, return_files=True)
    assert cut["file"].tolist() == list(map(str, listed[:2]))
    one = radar.predict(str(listed[0]), verbose=0, return_files=True)
    assert one["file"].tolist() == [str(listed[0])]


@pytest.mark.parametrize("form", [np.asarray, tf.constant, list, lambda x: iter([x])])
def test_only_files_are_named(radar, images, form):
    with pytest.raises(ValueError, match="`return_files` must be left out unless .* no file"):
        radar.predict(form(images), verbose=0, return_files=True)


def test_one_trace_serves_every_batch_size(small_classifier, images):
    traces = []

    class Counting(keras.layers.Layer):
        def call(self, x):
            traces.append(x.shape)
            return x

    inputs = keras.Input((24, 16, 3))
    classifier = keras.Model(inputs, small_classifier(Counting()(inputs)))
    radar = TaintRadarModel(classifier, top_k=2, rank_threshold=0)
    radar.predict(images[:1], verbose=0)
    traces.clear()
    for n in (1, 2, 3, 7):
        radar.predict(images[:n], verbose=0)
        radar.score(images[:n])
    assert traces == []


def test_it_is_a_layer_of_other_models_and_differentiable(radar, images):
    inputs = keras.Input((24, 16, 3), dtype="uint8")
    model = keras.Model(inputs, radar(inputs)["recovered_label"])
    expected = radar.predict(images, verbose=0)["recovered_label"]
    np.testing.assert_array_equal(model.predict(images, verbose=0), expected)
    pixels = tf.Variable(images, dtype=tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(radar(pixels)["predictions"][:, 0])
    assert np.abs(tape.gradient(loss, pixels)).max() > 0


def test_xla_and_the_mixed_precision_policy_change_nothing(small_classifier, radar, images):
    expected = radar.predict(images, verbose=0)
    compiled = tf.function(lambda x: radar(x), jit_compile=True)
    same({k: v.numpy() for k, v in compiled(tf.constant(images, tf.float32)).items()}, expected)
    keras.config.set_dtype_policy("mixed_float16")
    again = TaintRadarModel(small_classifier, **SETTINGS[radar.variant])
    same(again.predict(images.astype("float32"), verbose=0), expected)


# Thresholds


def test_without_a_threshold_only_the_decision_is_refused(small_classifier, images):
    radar = TaintRadarModel(small_classifier)
    with pytest.raises(NotCalibratedError, match=r"calibrate\(clean_images.*rank_threshold="):
        radar.predict(images)
    with pytest.raises(NotCalibratedError):
        radar(images)
    assert radar.score(images).shape == (7,)
    assert radar.explain(images[0]).is_adversarial is None


@pytest.mark.parametrize("variant", SETTINGS)
def test_calibrate_meets_its_target_on_its_own_images(small_classifier, variant):
    benign = np.random.default_rng(5).integers(0, 256, (60, 24, 16, 3), np.uint8)
    benign = benign.repeat(2, axis=0)
    radar = TaintRadarModel(small_classifier, variant=variant)
    calibration = radar.calibrate(benign, target_fpr=0.1, verbose=0)
    assert radar.calibration is calibration
    assert radar.threshold == calibration.threshold
    if variant == "paper":
        settings = (radar.top_k, radar.rank_threshold)
        assert settings == (calibration.top_k, calibration.rank_threshold)
    flagged = radar.predict(benign, verbose=0)["is_adversarial"].mean()
    assert flagged == pytest.approx(calibration.fpr)
    assert flagged <= 0.1
    assert calibration.n_images == 120


@pytest.mark.parametrize("variant", SETTINGS)
def test_each_part_is_judged_by_the_detector_beside_it(small_classifier, variant):
    benign = np.random.default_rng(5).integers(0, 256, (40, 24, 16, 3), np.uint8)
    radar = TaintRadarModel(small_classifier, variant=variant)
    whole = radar.calibrate(benign, target_fpr=0.2, verbose=0)
    other = keras.models.clone_model(small_classifier)
    other.set_weights([weight[..., ::-1] for weight in small_classifier.get_weights()])
    apart = TaintRadarModel(other, variant=variant)
    common = {"target_fpr": 0.2, "verbose": 0}
    same_one = radar.calibrate_across([(radar, benign[:10]), (radar, benign[10:])], **common)
    assert same_one.threshold == pytest.approx(whole.threshold, rel=1e-4)
    mixed = radar.calibrate_across([(radar, benign[:10]), (apart, benign[10:])], **common)
    assert mixed.n_images == 40
    assert radar.calibration is mixed
    assert apart.threshold is None
    if variant in ("occlusion", "bands", "cover"):  # scored at the worst of all scales they may get
        twins = [TaintRadarModel(one.classifier, variant=radar.rule) for one in (radar, apart)]
        scores = np.concatenate([twins[0].score(benign[:10]), twins[1].score(benign[10:])])
        assert (mixed.scores >= np.sort(scores)[::-1] - 1e-4).all()
        assert np.ptp(mixed.scores) > 0.1
    elif variant != "paper":
        scores = np.concatenate([radar.score(benign[:10]), apart.score(benign[10:])])
        np.testing.assert_allclose(mixed.scores, np.sort(scores)[::-1], rtol=1e-4)


def test_parts_that_cannot_be_judged(small_classifier, images):
    radar = TaintRadarModel(small_classifier)
    with pytest.raises(ValueError, match="`parts` must be one pair"):
        radar.calibrate_across([])
    with pytest.raises(
        ValueError,
        match="`parts` must be of variant 'occlusion', this detector's. Received: 'paper'",
    ):
        radar.calibrate_across([(TaintRadarModel(small_classifier, top_k=2), images)])


@pytest.mark.parametrize(("variant", "needed"), [("paper", 17), ("occlusion", 16), ("windows", 16)])
def test_calibrate_refuses_what_cannot_be_calibrated(small_classifier, images, variant, needed):
    radar = TaintRadarModel(small_classifier, variant=variant)
    with pytest.raises(ValueError, match="`target_fpr`"):
        radar.calibrate(images, target_fpr=6)
    with pytest.raises(ValueError, match="`k_max`"):
        radar.calibrate(images, k_max=0)
    with pytest.raises(CalibrationError, match=f"At least {needed} are needed"):
        radar.calibrate(images, verbose=0)
    assert radar.calibration is None
    assert radar.threshold is None


def blind_classifier() -> keras.Model:
    """Ends as SqueezeNet does: the last convolution is the class map, ReLU, global pooling."""
    return keras.Sequential(
        [
            keras.Input((24, 16, 3)),
            keras.layers.Conv2D(6, 3, strides=2, activation="relu", name="seeing"),
            keras.layers.Conv2D(5, 1, activation="relu", name="class_map"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Softmax(),
        ]
    )


def test_a_detector_that_cannot_see_says_so(images):
    blind = TaintRadarModel(blind_classifier(), feature_layer="class_map", variant="paper")
    diagnosis = blind.diagnose(images)
    assert diagnosis.is_blind
    assert diagnosis.empty_negative == 1
    assert "blind" in str(diagnosis)
    with pytest.raises(BlindDetectorError, match="blind at `class_map`"):
        blind.calibrate(images, target_fpr=0.2, verbose=0)
    assert not TaintRadarModel(blind_classifier(), variant="paper").diagnose(images).is_blind


def test_windows_see_a_class_map_but_not_a_dead_layer(images):
    classifier = blind_classifier()
    radar = TaintRadarModel(classifier, feature_layer="class_map")
    assert not radar.diagnose(images).is_blind
    classifier.get_layer("class_map").bias.assign([-1e6] * 5)
    assert radar.diagnose(images).is_blind
    with pytest.raises(BlindDetectorError, match="blind at `class_map`"):
        radar.calibrate(images, target_fpr=0.2, verbose=0)


def test_diagnose_counts(paper_radar, images):
    radar = paper_radar
    diagnosis = radar.diagnose(images)
    explained = [radar.explain(image) for image in images]
    assert (diagnosis.feature_layer, diagnosis.feature_shape) == ("last", (6, 4, 8))
    assert diagnosis.n_images == 7
    empty = [not e.negative_maps[k].any() for e in explained for k in range(2)]
    assert diagnosis.empty_negative == pytest.approx(np.mean(empty))
    areas = [e.tainted_region.mean() for e in explained]
    assert diagnosis.tainted_area == pytest.approx(np.mean(areas), abs=1e-6)
    assert diagnosis.empty_tainted == pytest.approx(np.mean([area == 0 for area in areas]))
    criticals = [e.critical_region.mean() for e in explained]
    assert diagnosis.critical_area == pytest.approx(np.mean(criticals), abs=1e-6)


def test_how_fine_the_map_is(small_classifier, images, caplog):
    radar = TaintRadarModel(small_classifier)  # 6 x 4 cells of 24 x 16 pixels
    diagnosis = radar.diagnose(images)
    assert diagnosis.cell == (4, 4)
    assert "a cell is 4 x 4 pixels, 25% of the side\n" in str(diagnosis)
    inputs = keras.Input((24, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=6, padding="same", name="only")(inputs)
    classifier = keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(x)))
    coarse = TaintRadarModel(classifier, variant="windows")
    assert coarse.diagnose(images).is_coarse
    assert "6 x 5.33 pixels, 33% of the side: coarse" in str(coarse.diagnose(images))
    for one in (radar, coarse):
        caplog.clear()
        one.calibrate(images, target_fpr=0.2, verbose=0)
        assert ("4 x 3 cells: coarse" in caplog.text) == (one is coarse)


def rank_calibration():
    common = {"target_fpr": 0.1, "fpr": 0.1, "fpr_interval": (0.0, 0.2), "n_images": 50}
    return RankCalibration(
        **common, top_k=3, rank_threshold=1, empty_share=0.25, fpr_grid=np.eye(3)
    )


def test_settings_by_hand_discard_the_calibration_and_take_effect(paper_radar, images):
    radar, calibration = paper_radar, rank_calibration()
    radar.predict(images, verbose=0)
    radar.calibration = calibration
    assert (radar.top_k, radar.rank_threshold) == (3, 1)
    shifts = radar.predict(images, verbose=0)["rank_shift"]
    np.testing.assert_array_equal(shifts, TaintRadarModel(radar.classifier, top_k=3).score(images))
    radar.rank_threshold = 3
    assert radar.calibration is None
    assert not radar.predict(images, verbose=0)["is_adversarial"].any()
    with pytest.raises(AttributeError, match="`fill` cannot be changed"):
        radar.fill = "blur"
    radar.class_names = list("vwxyz")
    assert radar.explain(images[0]).name_of(0) == "v"
    with pytest.raises(ValueError, match="`class_names` must be 5 names"):
        radar.class_names = ["a"]


def test_the_score_threshold_by_hand(small_classifier, images):
    radar = TaintRadarModel(small_classifier)
    scores = np.sort(radar.score(images))
    radar.score_threshold = scores[3]
    assert radar.predict(images, verbose=0)["is_adversarial"].sum() == 3
    found = radar.calibrate(images, target_fpr=0.2, verbose=0)
    assert radar.score_threshold == found.scores[0]
    radar.score_threshold = 0
    assert radar.calibration is None
    assert radar.top_k is radar.rank_threshold is None


@pytest.mark.parametrize(
    ("variant", "setting", "why"),
    [
        ("occlusion", "top_k", "it belongs to variant 'paper', this detector's is 'occlusion'"),
        ("cover", "rank_threshold", "the threshold of variant 'cover' is `score_threshold`"),
        ("paper", "score_threshold", "the threshold of variant 'paper' is `rank_threshold`"),
    ],
)
def test_a_setting_of_another_variant_is_refused(small_classifier, variant, setting, why):
    message = f"`{setting}` must be left out: {why}. Received: 1."
    with pytest.raises(ValueError, match=message):
        TaintRadarModel(small_classifier, variant=variant, **{setting: 1})
    with pytest.raises(ValueError, match=message):
        setattr(TaintRadarModel(small_classifier, variant=variant), setting, 1)


@pytest.mark.parametrize("variant", ["occlusion", "bands", "cover"])
def test_what_only_the_paper_has_is_refused(small_classifier, images, variant):
    with pytest.raises(ValueError, match=f"`fill` must be left out.*'paper'.*'{variant}'"):
        TaintRadarModel(small_classifier, variant=variant, fill="blur")
    radar = TaintRadarModel(small_classifier, variant=variant)
    assert radar.fill is None
    with pytest.raises(ValueError, match=f"`k_max` must be left out: variant '{variant}'"):
        radar.calibrate(images, 0.2, k_max=20)


def test_a_threshold_in_nats_is_not_taken_for_a_share(small_classifier, images):
    nats = TaintRadarModel(small_classifier).calibrate(images, 0.2, verbose=0)
    shares = TaintRadarModel(small_classifier, variant="bands")
    with pytest.raises(ValueError, match="`calibration` must be of variant 'bands'"):
        shares.calibration = nats
    assert shares.calibrate(images, 0.2, verbose=0).variant == "bands"


def test_settings_in_ranks_mean_the_papers_variant(small_classifier):
    assert TaintRadarModel(small_classifier).variant == "occlusion"
    assert TaintRadarModel(small_classifier, top_k=3).variant == "paper"
    assert TaintRadarModel(small_classifier, rank_threshold=0).variant == "paper"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"variant": "papers"}, "`variant` must be .*: occlusion, windows, bands, cover, paper"),
        ({"score_threshold": float("nan")}, "`score_threshold` must be a finite number"),
        ({"top_k": 6}, "`top_k` must be a whole number from 1 to 5"),
        ({"top_k": 0}, "`top_k`"),
        ({"top_k": 2.5}, "`top_k`"),
        ({"rank_threshold": 4}, "`rank_threshold` must be a whole number from 0 to 3"),
        ({"rank_threshold": -1}, "`rank_threshold`"),
        ({"temperature": 0}, "`temperature` must be a number above 0"),
        ({"map_threshold": 0}, r"`map_threshold` must be a number in \(0, 1\]"),
        ({"map_threshold": 15}, "`map_threshold`"),
        ({"class_names": ["a", "b"]}, "`class_names` must be 5 names"),
        ({"fill": "plaid"}, "plaid"),
        ({"preprocessor": "cafe"}, "cafe"),
    ],
)
def test_settings_out_of_range_are_refused(small_classifier, settings, message):
    with pytest.raises(ValueError, match=message):
        TaintRadarModel(small_classifier, **settings)


def test_two_classes_work_and_take_all_labels_by_default(images):
    inputs = keras.Input((24, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(x))
    radar = TaintRadarModel(keras.Model(inputs, x), rank_threshold=0)
    assert radar.top_k == 2
    assert radar.predict(images, verbose=0)["rank_shift"].max() <= 1


# Bad images


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x[0], r"batch axis"),
        (lambda x: x[:0], "empty"),
        (lambda x: x[:, :20], "20x16, the classifier takes 24x16"),
        (lambda x: x[..., :1], "Grey images become RGB"),
        (lambda x: x / 255, "multiply by 255"),
        (lambda x: x - 128.0, "from 0 to 255"),
        (lambda x: np.where(x > 250, np.nan, x), "NaN"),
        (lambda x: x.astype(str), "dtype"),
    ],
)
def test_bad_images_are_refused_everywhere(radar, images, spoil, message):
    bad = spoil(images)
    for use in (radar.predict, radar.score, radar.diagnose, radar.calibrate):
        with pytest.raises(ImageError, match=message):
            use(bad)
    if bad.dtype.kind != "U":
        with pytest.raises(ImageError, match=message):
            radar(bad)


def test_a_wrong_shape_inside_a_graph_is_refused(radar):
    with pytest.raises(ImageError, match="20x16, the classifier takes 24x16"):
        tf.function(lambda x: radar(x))(tf.zeros((2, 20, 16, 3)))


# Habits of Keras users


def test_steps_and_callbacks_of_predict(radar, images):
    heard = []

    class Listener(keras.callbacks.Callback):
        def on_predict_begin(self, logs=None):
            heard.append(self.model)

        def on_predict_batch_end(self, batch, logs=None):
            heard.append((batch, len(logs["label"])))

        def on_predict_end(self, logs=None):
            heard.append("end")

    found = radar.predict(images, 2, 0, 3, [Listener()])
    assert heard == [radar, (0, 2), (1, 2), (2, 2), "end"]
    same(found, radar.predict(images[:6], verbose=0))
    same(radar.predict(images, batch_size=2, steps=99, verbose=0), radar.predict(images, verbose=0))
    same(radar.predict_on_batch(images), radar.predict(images, verbose=0))
    same(radar.predict_on_batch(tf.Variable(images)), radar.predict(images, verbose=0))
    with pytest.raises(ValueError, match="`x` must be one batch .*generator"):
        radar.predict_on_batch(image for image in [images])
    endless = tf.data.Dataset.from_tensors(images[:4]).repeat()
    assert len(radar.predict(endless, steps=3, verbose=0)["label"]) == 12
    with pytest.raises(ValueError, match="`steps` must be an integer of at least 1. Received: 0"):
        radar.predict(images, steps=0)


@pytest.mark.parametrize(
    ("method", "instead"),
    [
        ("compile", r"radar\.classifier\.compile\(.*`calibrate"),
        ("fit", r"radar\.classifier\.fit\(.*`calibrate"),
        ("train_on_batch", r"radar\.classifier\.train_on_batch\("),
        ("evaluate", r"tf_taintradar\.evaluate\(.*radar\.classifier\.evaluate\("),
        ("test_on_batch", r"tf_taintradar\.evaluate\("),
    ],
)
def test_what_a_detector_cannot_do_names_what_can(radar, images, method, instead):
    with pytest.raises(NotImplementedError, match=instead):
        getattr(radar, method)(images, np.zeros(7))


def test_the_dtype_is_not_overwritten_in_silence(small_classifier):
    for dtype in ("float32", keras.DTypePolicy("float32")):
        assert TaintRadarModel(small_classifier, dtype=dtype).dtype_policy.name == "float32"
    with pytest.raises(ValueError, match="`dtype` must be float32, or left out. Received: 'mixed"):
        TaintRadarModel(small_classifier, dtype="mixed_float16")


def test_a_config_without_a_calibration(radar, images):
    config = radar.get_config()
    del config["calibration"]
    again = TaintRadarModel.from_config(config)
    assert again.threshold == radar.threshold
    least = TaintRadarModel.from_config({"classifier": config["classifier"]})
    assert (least.variant, least.threshold) == ("occlusion", None)


@pytest.mark.parametrize("sides", [None, [0.2, 0.5]])
def test_a_config_from_before_several_depths(small_classifier, images, sides):
    """The default was "windows" under the name "occlusion", and coarse maps were looked at."""
    rule = rules.Windows() if sides is None else rules.Windows(sides)
    inputs = keras.Input((24, 16, 3))
    x = keras.layers.Conv2D(4, 3, strides=3, name="coarse")(small_classifier.layers[2](inputs))
    outputs = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x))
    classifier = keras.Model(inputs, outputs)
    radar = TaintRadarModel(classifier, variant=rule, feature_layer="coarse")
    radar.calibrate(images, 0.2, verbose=0)
    config = {**radar.get_config(), "feature_layer": None}
    assert config.pop("format") == 3
    record = json.loads(config["calibration"])
    config["calibration"] = json.dumps({**record, "variant": "occlusion"})
    settings = {"name": "occlusion", "config": {"sides": sides}}
    config["variant"] = "occlusion" if sides is None else settings
    again = TaintRadarModel.from_config(config)
    again.classifier.set_weights(classifier.get_weights())
    assert (again.rule, again.feature_layer) == (rule, "coarse")
    same(again.predict(images, verbose=0), radar.predict(images, verbose=0))
    assert TaintRadarModel(classifier).opened.feature_layer != "coarse"


def test_a_former_detector_of_variant_cover_says_what_to_do(small_classifier, images, caplog):
    radar = TaintRadarModel(small_classifier, variant="cover")
    new = radar.calibrate(images, 0.2, verbose=0)
    record = {**json.loads(new.to_json()), "scales": None, "settings": None}
    del record["centre"]
    config = {
        **radar.get_config(),
        "variant": "cover",
        "score_threshold": record["score_threshold"],
    }
    del config["format"]
    again = TaintRadarModel.from_config({**config, "calibration": json.dumps(record)})
    assert (again.threshold, again.calibration) == (None, None)
    assert "is from before 0.2, when its score was another one" in caplog.text
    with pytest.raises(NotCalibratedError):
        again.predict(images, verbose=0)
    with pytest.raises(ValueError, match="one with scales: calibrate variant 'cover' anew"):
        again.calibration = Calibration.from_json(json.dumps(record))
    caplog.clear()
    TaintRadarModel.from_config({**config, "calibration": None, "score_threshold": None})
    assert "before 0.2" not in caplog.text


def test_the_former_name_of_predict_scores(radar, images):
    same(radar.answer(images), radar.predict_scores(images))
    assert "is_adversarial" not in radar.answer(images)


def test_a_copy_with_other_settings(radar):
    twin = radar.replaced(temperature=3.0)
    assert (twin.temperature, twin.rule, twin.threshold) == (3.0, radar.rule, None)
    assert twin.classifier is radar.classifier
    assert radar.replaced(variant="cover").variant == "cover"


# Saving


def saving_cases(classifier):
    face = np.arange(24 * 16 * 3, dtype=np.uint8).reshape(24, 16, 3)
    normalise = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])
    return [
        {"fill": face, "preprocessor": "tf", "class_names": list("abcde")},
        {"fill": fills.Blur(0.2), "preprocessor": normalise, "temperature": 3.0},
        {"feature_layer": "last", "map_threshold": 0.3, "fill": (10, 20, 30)},
        {"score_threshold": 2.5, "preprocessor": "tf"},
    ]


@pytest.mark.parametrize("case", range(4))
def test_a_saved_detector_comes_back_the_same(small_classifier, images, tmp_path, case):
    settings = saving_cases(small_classifier)[case]
    ranks = {} if "score_threshold" in settings else {"top_k": 2, "rank_threshold": 1}
    radar = TaintRadarModel(small_classifier, **ranks, **settings)
    radar.save(tmp_path / "radar.keras")
    again = keras.models.load_model(tmp_path / "radar.keras")
    same(again.predict(images, verbose=0), radar.predict(images, verbose=0))
    assert vars(again).keys() == vars(radar).keys()
    assert again.class_names == radar.class_names
    assert len(again.weights) == len(radar.weights)


def test_several_layers_by_name(small_classifier, images, tmp_path):
    first = small_classifier.layers[2].name
    radar = TaintRadarModel(small_classifier, feature_layer=(first, "last"))
    assert [stage.layer for stage in radar.opened.stages] == [first, "last"]
    np.testing.assert_array_equal(
        radar.score(images), TaintRadarModel(small_classifier).score(images)
    )
    assert first in str(radar.diagnose(images))
    alone = TaintRadarModel(small_classifier, feature_layer=["last"])
    assert [stage.layer for stage in alone.opened.stages] == ["last"]
    radar.save(tmp_path / "radar.keras")
    again = keras.models.load_model(tmp_path / "radar.keras")
    assert again.feature_layer == [first, "last"]
    np.testing.assert_array_equal(again.score(images), radar.score(images))


@pytest.mark.parametrize("name", ["radar.h5", "radar.weights.h5", "radar", "radar.zip"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_other_files_than_keras_are_refused(radar, tmp_path, name, overwrite):
    for path in (tmp_path / name, str(tmp_path / name)):
        with pytest.raises(ValueError, match=r"ends in \.keras.*`export`"):
            radar.save(path, overwrite=overwrite)
    assert not list(tmp_path.iterdir())


def test_a_save_that_fails_leaves_the_older_file(radar, tmp_path, monkeypatch):
    path = tmp_path / "radar.keras"
    radar.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(radar, "get_config", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        radar.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_calibration_is_part_of_the_saved_model_in_a_fresh_process(radar, images, tmp_path):
    if radar.variant == "paper":
        radar.calibration = rank_calibration()
    else:
        radar.calibrate(images, target_fpr=0.2, verbose=0)
    radar.save(tmp_path / "radar.keras")
    np.save(tmp_path / "images.npy", images)
    code = """
import sys, keras, tf_taintradar, numpy as np
folder = sys.argv[1]
radar = keras.models.load_model(folder + "/radar.keras")
open(folder + "/calibration.json", "w").write(radar.calibration.to_json())
out = radar.predict(np.load(folder + "/images.npy"), verbose=0)
np.savez(folder + "/out.npz", **out)
"""
    root = pathlib.Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code, tmp_path], cwd=root, check=True)
    same(dict(np.load(tmp_path / "out.npz")), radar.predict(images, verbose=0))
    assert (tmp_path / "calibration.json").read_text() == radar.calibration.to_json()


def test_a_pair_of_subclassed_models_is_wrapped_and_saved(images, tmp_path):
    trunk, head = Trunk(), Head()
    expected = head(trunk(images.astype("float32")))
    radar = TaintRadarModel((trunk, head), top_k=2, rank_threshold=0)
    out = radar.predict(images, verbose=0)
    np.testing.assert_allclose(out["predictions"], expected, atol=1e-5)
    assert len(radar.weights) == 4
    radar.save(tmp_path / "pair.keras")
    again = keras.models.load_model(tmp_path / "pair.keras")
    same(again.predict(images, verbose=0), out)


@keras.saving.register_keras_serializable(package="tests")
class Trunk(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = keras.layers.Conv2D(6, 3, strides=2, activation="relu")

    def call(self, x):
        return self.conv(x / 255)


@keras.saving.register_keras_serializable(package="tests")
class Head(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(4)

    def call(self, x):
        return self.dense(keras.ops.mean(x, axis=(1, 2)))
