"""What LiteRT (TensorFlow Lite) makes of an exported detector."""

import re

import numpy as np
import pytest
import tensorflow as tf
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is dep")]


@pytest.fixture(scope="module")
def radar():
    return TaintRadarModel(build_small_classifier(), score_threshold=0.1)


@pytest.fixture(scope="module")
def served(radar, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "1"
    radar.export(folder)
    return tf.saved_model.load(str(folder))


def convert(served, name, *, can_select):
    """A signature for one image as a LiteRT file."""
    spec = tf.TensorSpec((1, 24, 16, 3), tf.uint8)
    one = tf.function(lambda images: served.signatures[name](images=images), input_signature=[spec])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [one.get_concrete_function()], served
    )
    if can_select:
        own = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        converter.target_spec.supported_ops = own
    return converter.convert()


def test_the_classifier_runs_with_the_runtimes_own_operations(radar, served):
    file = convert(served, "classify", can_select=False)
    ask = tf.lite.Interpreter(model_content=file).get_signature_runner()
    images = draw_images(5)
    expected = radar.predict(images, verbose=0)
    found = [ask(images=image[None]) for image in images]
    assert all(answer["valid"] for answer in found)
    for name in ("label", "predictions"):
        values = np.concatenate([answer[name] for answer in found])
        np.testing.assert_allclose(values, expected[name], rtol=0, atol=1e-5, err_msg=name)


def test_the_detector_needs_tensorflows_gradients(served):
    file = convert(served, "serving_default", can_select=True)
    assert set(re.findall(rb"Flex(\w+)", file)) == {b"MaxPoolGrad", b"ReluGrad"}
