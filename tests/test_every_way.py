"""The same verdict on every way to a detector: files, arrays, graphs, loaded, exported, bytes.

Kinds: two decoders; copies of a network; guards in eager mode only.
"""

import io
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel, export_savedmodel
from tf_taintradar.errors import ImageError
from tf_taintradar.export import with_precision
from tf_taintradar.images import read_image
from tf_taintradar.serving import load

SIZE = (24, 16)


def plain():
    return build_small_classifier(), {}


def nested():
    inputs = keras.Input((*SIZE, 3))
    return keras.Model(inputs, build_small_classifier()(inputs)), {"feature_layer": "last"}


def scaled():
    inputs = keras.Input((*SIZE, 3))
    x = keras.layers.Rescaling(255.0)(inputs)
    return keras.Model(inputs, build_small_classifier()(x)), {"preprocessor": "unit"}


def paper():
    return build_small_classifier(), {"variant": "paper"}


def windows():
    return build_small_classifier(), {"variant": "windows"}


def cover():
    return build_small_classifier(), {"variant": "cover"}


OTHERS = (windows, nested, scaled, paper, cover)
SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in OTHERS]
KINDS = [plain, *SLOW]


def rgb(image, file):
    image.save(file, "PNG")


def grey(image, file):
    image.convert("L").save(file, "PNG")


def palette(image, file):
    image.convert("P", palette=Image.Palette.ADAPTIVE).save(file, "PNG")


def jpeg(image, file):
    image.save(file, "JPEG", quality=90)


def turned(image, file):
    exif = Image.Exif()
    exif[0x0112] = 6  # the orientation: a quarter turn
    image.save(file, "JPEG", quality=90, exif=exif)


def bitmap(image, file):
    image.save(file, "BMP")


def gif(image, file):
    image.save(file, "GIF")


FORMATS = (rgb, grey, palette, jpeg, turned, bitmap, gif)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def detector(request, tmp_path_factory):
    """A detector, itself loaded from its file, and by precision its twin, graph and exports."""
    classifier, settings = request.param()
    radar = TaintRadarModel(classifier, **settings)
    radar.calibrate(draw_images(60), 0.2, verbose=0)
    folder = tmp_path_factory.mktemp(request.param.__name__)
    radar.save(folder / "radar.keras")
    ways = {}
    for precision in ("float32", "float16"):
        twin = with_precision(radar, precision)
        served = load(export_savedmodel(radar, folder / precision, precision=precision))
        graph = tf.function(lambda x, twin=twin: twin(x))
        ways[precision] = twin, graph, served, tf.saved_model.load(str(served.path))
    return keras.models.load_model(folder / "radar.keras"), ways


def same(found, expected, tolerance):
    for name in ("label", "recovered_label", "rank_shift", "is_adversarial"):
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    np.testing.assert_allclose(found["score"], expected["score"], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_one_verdict(detector, write, tmp_path):
    loaded, ways = detector
    files, contents = [], []
    for i, pixels in enumerate(draw_images(12)):
        file = io.BytesIO()
        write(Image.fromarray(pixels).resize((37, 45)), file)
        files.append(tmp_path / f"{i:02}.img")
        files[-1].write_bytes(file.getvalue())
        contents.append(file.getvalue())
    images = np.stack([read_image(file, (*SIZE, 3)) for file in files])
    for precision, (twin, graph, served, model) in ways.items():
        tolerance = 1e-3 if precision == "float32" else 5e-2
        expected = twin.predict(files, verbose=0)
        assert len(set(expected["score"])) > 1
        same(as_arrays(graph(tf.constant(images))), expected, tolerance)
        same(served.predict(images), expected, tolerance)
        answers = as_arrays(model.signatures["serve_bytes"](image_bytes=tf.constant(contents)))
        assert answers.pop("valid").all()
        same(answers, expected, tolerance)
        if precision == "float32":
            same(loaded.predict(files, verbose=0), expected, 0)


def as_arrays(tensors):
    return {name: value.numpy() for name, value in tensors.items()}


# Odd arrays

CHANGES = {
    "as it is": lambda x, rng: x,
    "float32": lambda x, rng: x.astype(np.float32),
    "float16": lambda x, rng: x.astype(np.float16),
    "int64": lambda x, rng: x.astype(np.int64),
    "bool": lambda x, rng: x > 100,
    "complex": lambda x, rng: x.astype(complex),
    "text": lambda x, rng: x.astype(str),
    "objects": lambda x, rng: x.astype(object),
    "unit": lambda x, rng: x / 255,
    "centred": lambda x, rng: x - 128.0,
    "doubled": lambda x, rng: x * 2.0,
    "rounding": lambda x, rng: x + rng.choice([-1e-5, 0, 1e-5], x.shape),
    "nan": lambda x, rng: np.where(rng.random(x.shape) < 0.01, np.nan, x),
    "infinite": lambda x, rng: np.where(rng.random(x.shape) < 0.01, np.inf, x),
    "black": lambda x, rng: x * 0,
    "empty": lambda x, rng: x[:0],
    "one": lambda x, rng: x[0],
    "grey": lambda x, rng: x[..., :1],
    "no channel": lambda x, rng: x[..., 0],
    "four channels": lambda x, rng: np.concatenate([x, x[..., :1]], axis=-1),
    "channels first": lambda x, rng: x.transpose(0, 3, 1, 2),
    "turned": lambda x, rng: x.transpose(0, 2, 1, 3),
    "cropped": lambda x, rng: x[:, : rng.integers(1, 24)],
    "one axis more": lambda x, rng: x[None],
    "reversed": lambda x, rng: x[::-1, :, ::-1],
    "flat": lambda x, rng: x.reshape(len(x), -1),
}
FORMS = {"array": np.asarray, "list": list, "tensor": tf.constant, "variable": tf.Variable}


def is_right(x):
    if x.shape[1:] != (*SIZE, 3) or len(x) == 0 or x.dtype.kind not in "uif":
        return False
    values = x.astype(np.float64)
    inside = np.isfinite(values).all() and values.min() >= -1e-3 and values.max() <= 255 + 1e-3
    is_unit = x.dtype.kind == "f" and 1e-3 < values.max() <= 1 + 1e-3
    return bool(inside and not is_unit)


def refused(radar, images):
    """The message of the error; empty if there is none."""
    try:
        radar.predict(images, verbose=0)
    except ImageError as error:
        return str(error)
    return ""


def test_500_odd_arrays_are_answered_rightly_or_refused():
    radar = TaintRadarModel(build_small_classifier(), score_threshold=0.1)
    rng = np.random.default_rng(0)
    counts = {"answered": 0, "refused": 0}
    for pair in itertools.islice(iter(lambda: rng.choice(list(CHANGES), 2).tolist(), None), 500):
        x = draw_images(3)
        try:
            for name in pair:
                x = CHANGES[name](x, rng)
            given = FORMS[rng.choice(list(FORMS))](x)
        except Exception:
            continue  # such an array cannot be made
        wants_answer = x.ndim == 4 and is_right(x)
        if not wants_answer:
            message = refused(radar, given)
            assert 20 < len(message) < 600, (pair, type(given), x.dtype, x.shape, message)
            counts["refused"] += 1
            continue
        found = radar.predict(given, verbose=0)
        clean = x if x.dtype.kind in "ui" else np.clip(x.astype(np.float32), 0, 255)
        expected = radar.predict(clean, verbose=0)
        for name in expected:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=f"{pair} {name}")
        counts["answered"] += 1
    assert min(counts.values()) > 50, counts
