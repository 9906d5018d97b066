"""What a SavedModel answers through each of its signatures."""

import dataclasses
import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.export.signatures import UNKNOWN

ANSWER = {
    "predictions": ("float32", (5,)),
    "label": ("int32", ()),
    "is_adversarial": ("bool", ()),
    "rank_shift": ("int32", ()),
    "score": ("float32", ()),
    "recovered_label": ("int32", ()),
}
VALID = {"valid": ("bool", ())}
EXPLANATION = {
    **ANSWER,
    **VALID,
    "logits": ("float32", (5,)),
    "critical_map": ("float32", (6, 4)),
    "critical_region": ("bool", (24, 16)),
    "tainted_region": ("bool", (24, 16)),
    "cleaned_images": ("float32", (24, 16, 3)),
    "cleaned_logits": ("float32", (5,)),
}
OCCLUSION = {
    "regions": ("bool", (2, 24, 16)),
    "removed_logits": ("float32", (2, 5)),
    **dict.fromkeys(("falls", "lacks", "stirs", "peaks"), ("float32", (2,))),
    "scaled": ("float32", (4, 2)),
}
EVIDENCE = {
    "occlusion": OCCLUSION,
    "cover": {
        **OCCLUSION,
        "covered_logits": ("float32", (16, 5)),
        "covered_lacks": ("float32", (16,)),
        "covered_others": ("float32", (16,)),
        "parts": ("float32", (3,)),
    },
    "paper": {
        "filled_images": ("float32", (24, 16, 3)),
        "filled_logits": ("float32", (5,)),
        "top_labels": ("int32", (2,)),
        "logit_increases": ("float32", (2,)),
        "negative_maps": ("float32", (2, 6, 4)),
        "negative_regions": ("bool", (2, 24, 16)),
    },
}
JUDGED = {**ANSWER, **VALID}
SIGNATURES = {
    "serving_default": ("images", "uint8", JUDGED),
    "serve_float": ("images", "float32", JUDGED),
    "serve_bytes": ("image_bytes", "string", JUDGED),
    "classify": ("images", "uint8", {k: JUDGED[k] for k in ("predictions", "label", "valid")}),
    "explain": ("images", "uint8", EXPLANATION),
}


@pytest.fixture(scope="module", params=EVIDENCE)
def exported(request):
    return request.getfixturevalue(f"exported_{request.param}")


@pytest.fixture(scope="module")
def model(exported):
    return tf.saved_model.load(exported.folder)


def ask(model, signature, values):
    """The answers of one signature as arrays."""
    name, dtype, _ = SIGNATURES[signature]
    answers = model.signatures[signature](**{name: tf.constant(values, dtype)})
    return {name: values.numpy() for name, values in answers.items()}


def all_signatures(exported):
    """Each signature with its input and its outputs, those of the variant among them."""
    explain = (*SIGNATURES["explain"][:2], {**EXPLANATION, **EVIDENCE[exported.radar.variant]})
    return {**SIGNATURES, "explain": explain}.items()


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def rows_of(answers, rows):
    return {name: values[rows] for name, values in answers.items()}


def close(one, other, names=ANSWER):
    """Whole numbers and flags are equal, predictions and scores within 1e-6."""
    for name in names:
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=1e-6, err_msg=name)


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_names_types_and_shapes(model, exported):
    assert set(model.signatures) == {*SIGNATURES, "serve"}
    for signature, (name, dtype, outputs) in all_signatures(exported):
        function = model.signatures[signature]
        ((), inputs) = function.structured_input_signature
        shape = (None,) if dtype == "string" else (None, 24, 16, 3)
        assert inputs == {name: tf.TensorSpec(shape, dtype, name)}
        answers = function.structured_outputs.items()
        found = {key: (spec.dtype.name, tuple(spec.shape)) for key, spec in answers}
        assert found == {key: (kind, (None, *shape)) for key, (kind, shape) in outputs.items()}


def test_every_batch_size_answers_as_predict(model, exported):
    expected = exported.radar.predict(exported.images, verbose=0)
    assert len(set(expected["is_adversarial"])) == 2
    for n in (1, 2, 7, 32):
        answers = ask(model, "serving_default", exported.images[:n])
        close(answers, rows_of(expected, slice(n)))
        close(ask(model, "serve_float", exported.images[:n]), answers)
        close(ask(model, "classify", exported.images[:n]), answers, ("predictions", "label"))
    encoded = [png(image) for image in exported.images]
    close(ask(model, "serve_bytes", encoded), expected)


def test_pixels_outside_by_rounding_are_clipped(model, exported):
    """Kind: rounding."""
    clean = exported.images[:3].astype("float32")
    clean[:, :2], clean[:, 2:4] = 255, 0
    shifted = clean + np.where(clean == 255, 6e-5, np.where(clean == 0, -5e-4, 0))
    expected = exported.radar.predict(clean, verbose=0)
    close(exported.radar.predict(shifted, verbose=0), expected)
    close(exported.radar(tf.constant(shifted, tf.float32)), expected)
    close(tf.function(exported.radar)(tf.constant(shifted, tf.float32)), expected)
    answers = ask(model, "serve_float", shifted)
    assert answers["valid"].all()
    close(answers, expected)
    assert not ask(model, "serve_float", clean + 0.01)["valid"].any()


def test_classify_is_the_plain_classifier(model, exported):
    answers = ask(model, "classify", exported.images)
    expected = exported.radar.classifier(exported.images.astype("float32")).numpy()
    np.testing.assert_allclose(answers["predictions"], expected, atol=1e-6)
    np.testing.assert_array_equal(answers["label"], expected.argmax(-1))


def test_explain_is_that_of_the_detector(model, exported):
    answers = ask(model, "explain", exported.images[:7])
    for i, image in enumerate(exported.images[:7]):
        expected = dataclasses.asdict(exported.radar.explain(image))
        for name in ("filled_image", "cleaned_image"):
            if name in expected:
                expected[name + "s"] = expected.pop(name)
        beside = ("threshold", "benign_scores")  # of the calibration, not of the image
        for name in ("image", "class_names", "covering_windows", "is_scaled", *beside):
            expected.pop(name, None)
        assert expected.keys() | {"predictions", "valid"} == answers.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(answers[name][i], value, atol=1e-5, err_msg=name)


def test_an_empty_batch_has_an_empty_answer(model, exported):
    for signature, (_, dtype, outputs) in all_signatures(exported):
        shape = (0,) if dtype == "string" else (0, 24, 16, 3)
        answers = ask(model, signature, np.zeros(shape, object if dtype == "string" else dtype))
        found = {name: values.shape for name, values in answers.items()}
        assert found == {name: (0, *shape) for name, (_, shape) in outputs.items()}, signature


def test_no_row_depends_on_the_others(model, exported):
    """A server fills a batch up with copies of its first row."""
    images = exported.images[:5]
    for signature in SIGNATURES:
        rows = np.array([png(image) for image in images]) if signature == "serve_bytes" else images
        answers = ask(model, signature, rows)
        padded = ask(model, signature, rows[[0, 1, 2, 0, 0, 0, 0, 0]])
        close(padded, rows_of(answers, [0, 1, 2, 0, 0, 0, 0, 0]), padded)
        backwards = ask(model, signature, rows[::-1])
        close(backwards, rows_of(answers, slice(None, None, -1)), backwards)


BAD_ROWS = {
    "NaN": lambda x: np.where(x == x.max(), np.nan, x),
    "infinite": lambda x: np.where(x == x.max(), np.inf, x),
    "negative": lambda x: x - x.min() - 0.5,
    "above 255": lambda x: x - x.max() + 255.5,
    "0 to 1": lambda x: x / 255,
    "preprocessed": lambda x: x / 127.5 - 1,
}


def test_a_bad_row_of_floats_is_answered_and_spoils_no_other(model, exported):
    images = exported.images[:3].astype(np.float32)
    expected = ask(model, "serve_float", images)
    assert expected.pop("valid").all()
    for name, spoil in BAD_ROWS.items():
        answers = ask(model, "serve_float", [images[0], spoil(images[1]), images[2]])
        assert answers.pop("valid").tolist() == [True, False, True], name
        assert_unknown(rows_of(answers, [1]))
        same(rows_of(answers, [0, 2]), rows_of(expected, [0, 2]))


def test_raw_floats_at_the_ends_of_their_range_are_valid(model):
    images = np.stack([np.full((24, 16, 3), value, np.float32) for value in (0, 1.5, 255)])
    answers = ask(model, "serve_float", images)
    assert answers["valid"].all()
    assert (answers["label"] >= 0).all()


def test_a_bad_file_is_answered_and_spoils_no_other(model, exported):
    files = [png(image) for image in exported.images[:3]]
    expected = ask(model, "serve_bytes", files)
    assert expected.pop("valid").all()
    for content in (b"", b"no image", b"\xff\xd8\xff\xe0", files[1][:-200]):
        answers = ask(model, "serve_bytes", [files[0], content, files[2]])
        assert answers.pop("valid").tolist() == [True, False, True]
        assert_unknown(rows_of(answers, [1]))
        same(rows_of(answers, [0, 2]), rows_of(expected, [0, 2]))
    answers = ask(model, "serve_bytes", [b"", b"x"])
    assert answers.pop("valid").tolist() == [False, False]
    assert_unknown(answers)


def assert_unknown(answers):
    assert answers.keys() == UNKNOWN.keys() == ANSWER.keys()
    for name, values in answers.items():
        np.testing.assert_array_equal(values, np.full_like(values, UNKNOWN[name]), err_msg=name)


def test_serve_takes_both_dtypes_as_keras_users_expect(model, exported):
    expected = ask(model, "serving_default", exported.images)
    same(tf.nest.map_structure(np.asarray, model.serve(exported.images)), expected)
    floats = model.serve(tf.constant(exported.images, tf.float32))
    assert floats.pop("valid").numpy().all()
    close(floats, expected)


def test_a_layer_of_keras(exported):
    layer = keras.layers.TFSMLayer(exported.folder, call_endpoint="serving_default")
    answers = layer(tf.constant(exported.images))
    close(answers, exported.radar.predict(exported.images, verbose=0))


def test_a_grey_classifier_reads_files_too(tmp_path):
    classifier = build_small_classifier(channels=1)
    radar = TaintRadarModel(classifier, top_k=2, rank_threshold=0, fill="blur", temperature=3.0)
    radar.export(tmp_path / "grey")
    model = tf.saved_model.load(tmp_path / "grey")
    images = draw_images(5, channels=1)
    expected = radar.predict(images, verbose=0)
    close(ask(model, "serving_default", images), expected)
    close(ask(model, "serve_bytes", [png(image[..., 0]) for image in images]), expected)


def test_four_channels_are_no_files_and_fill_and_preprocessor_are_part_of_the_graph(tmp_path):
    radar = TaintRadarModel(
        build_small_classifier(channels=4),
        top_k=2,
        rank_threshold=0,
        fill=np.arange(24 * 16 * 4, dtype=np.float32).reshape(24, 16, 4) / 7,
        preprocessor=keras.layers.Normalization(mean=[1.0, 2, 3, 4], variance=[4.0, 5, 6, 7]),
    )
    radar.export(tmp_path / "four")
    model = tf.saved_model.load(tmp_path / "four")
    assert set(model.signatures) == {*SIGNATURES, "serve"} - {"serve_bytes"}
    images = draw_images(5, channels=4)
    close(ask(model, "serve_float", images), radar.predict(images, verbose=0))
