"""Networks in ONNX files: computed outside of TensorFlow, judged by their answers."""

import keras
import numpy as np
import pytest

from tf_taintradar import TaintRadarModel, rules
from tf_taintradar.classifier.onnx import OnnxLayer
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.opening import load_detector

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
SHAPE = (8, 6, 3)


def write(path, inputs, shape, outputs=1, kind="FLOAT"):
    """A network of one convolution, its mean over all places and a softmax, over 4 labels."""
    helper, rng = onnx.helper, np.random.default_rng(0)
    kernel = rng.normal(0, 0.02, (4, 3, 3, 3)).astype(np.float32)
    channels_first = shape[1] == 3
    nodes = [helper.make_node("Cast", [inputs[0]], ["x"], to=onnx.TensorProto.FLOAT)]
    order = [0, 1, 2, 3] if channels_first else [0, 3, 1, 2]
    nodes += [
        helper.make_node("Transpose", ["x"], ["first"], perm=order),
        helper.make_node("Conv", ["first", "kernel"], ["map"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["answer"], axis=1),
    ]
    element = getattr(onnx.TensorProto, kind)
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(name, element, shape) for name in inputs],
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [shape[0], 4])
            for name in ("answer", "logits")[:outputs]
        ],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def twin():
    """The same network in Keras."""
    kernel = np.random.default_rng(0).normal(0, 0.02, (4, 3, 3, 3)).astype(np.float32)
    inputs = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="map")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    network = keras.Model(inputs, keras.layers.Softmax()(x))
    network.get_layer("map").set_weights([kernel.transpose(2, 3, 1, 0)])
    return network


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(0, 256, (5, *SHAPE)).astype(np.uint8)


LAYOUTS = {
    "channels last": ["n", 8, 6, 3],
    "channels first": ["n", 3, 8, 6],
    "one at a time": [1, 3, 8, 6],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_answers_as_the_network(layout, pixels, tmp_path):
    layer = OnnxLayer(write(tmp_path / "net.onnx", ["images"], LAYOUTS[layout]))
    assert layer.image_shape == SHAPE
    expected = twin()(pixels.astype(np.float32))
    np.testing.assert_allclose(layer(pixels.astype(np.float32)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["UINT8", "FLOAT16"])
def test_other_types(kind, pixels, tmp_path):
    layer = OnnxLayer(write(tmp_path / "net.onnx", ["images"], ["n", 8, 6, 3], kind=kind))
    expected = twin()(pixels.astype(np.float32))
    np.testing.assert_allclose(layer(pixels.astype(np.float32)), expected, rtol=0, atol=1e-5)


def test_a_detector_of_a_file(pixels, tmp_path):
    path = write(tmp_path / "net.onnx", ["images"], ["n", 3, 8, 6])
    radar = load_detector(str(path), variant="cover")
    opened = TaintRadarModel((twin_trunk(), twin_head()), variant=rules.Cover(depths=0))
    np.testing.assert_allclose(radar.score(pixels), opened.score(pixels), rtol=1e-3, atol=1e-3)
    radar.score_threshold = 1.0
    radar.save(tmp_path / "radar.keras")
    loaded = keras.models.load_model(tmp_path / "radar.keras")
    np.testing.assert_allclose(loaded.score(pixels), radar.score(pixels), rtol=1e-6)
    with pytest.raises(UnsupportedClassifierError, match="called in Python"):
        radar.export(tmp_path / "served")


def twin_trunk():
    return keras.Sequential(twin().layers[:2])


def twin_head():
    return keras.Sequential([keras.Input((8, 6, 4)), *twin().layers[2:]])


REFUSED = {
    "two inputs": (["a", "b"], ["n", 3, 8, 6], {}, "one batch of images"),
    "two outputs": (["a"], ["n", 3, 8, 6], {"outputs": 2}, "one output. Received: answer, logits"),
    "four at a time": (["a"], [4, 3, 8, 6], {}, "of any number or one at a time"),
    "whole numbers": (["a"], ["n", 3, 8, 6], {"kind": "INT64"}, "as float32, float16 or uint8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case, tmp_path):
    inputs, shape, more, message = REFUSED[case]
    path = write(tmp_path / "net.onnx", inputs, shape, **more)
    with pytest.raises(UnsupportedClassifierError, match=message):
        OnnxLayer(path)


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no network")
    with pytest.raises(UnsupportedClassifierError, match="as an ONNX file"):
        load_detector(str(tmp_path / "net.onnx"), variant="cover")
    with pytest.raises(UnsupportedClassifierError, match="There is no file"):
        load_detector(str(tmp_path / "missing.onnx"), variant="cover")
