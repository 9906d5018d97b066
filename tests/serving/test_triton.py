"""The recipe for Triton: its model file outside of Triton, its configuration, the JSON it shows."""

import importlib.util
import io
import json
import pathlib
import re
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_taintradar.demo.scenes import draw_scenes
from tf_taintradar.demo.show import detector_file

FOLDER = pathlib.Path(__file__).parents[2] / "examples/serving/triton"
DTYPES = {"FP32": np.float32, "INT32": np.int32, "BOOL": np.bool_, "UINT8": np.uint8}


class Tensor:
    """A tensor as Triton's module has it."""

    def __init__(self, name, values):
        self._name, self._values = name, values

    def name(self):
        return self._name

    def as_numpy(self):
        return self._values


class Response:
    """What is answered to a request: tensors, or an error."""

    def __init__(self, output_tensors=(), error=None):
        self.tensors = {tensor.name(): tensor.as_numpy() for tensor in output_tensors}
        self.error = error


@pytest.fixture(scope="module")
def module():
    """`model.py`, imported with a module of the interface that Triton provides."""
    utils = types.ModuleType("triton_python_backend_utils")
    utils.Tensor, utils.InferenceResponse, utils.TritonError = Tensor, Response, str
    utils.get_input_tensor_by_name = lambda request, name: request.get(name)
    sys.modules[utils.__name__] = utils
    spec = importlib.util.spec_from_file_location("triton_model", FOLDER / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[utils.__name__]


def tensors_of_config(kind):
    """(data type, dims) by name, of the inputs or outputs of `config.pbtxt`."""
    text = (FOLDER / "config.pbtxt").read_text()
    (block,) = re.findall(rf"^{kind} \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    found = re.findall(r'name: "(\w+)" data_type: TYPE_(\w+) dims: \[ ([\d, ]+) \]', block)
    assert len(found) == block.count("name:")
    return {name: (kind, [int(n) for n in dims.split(",")]) for name, kind, dims in found}


@pytest.fixture(scope="module")
def served(module, tmp_path_factory):
    """A model repository of the demo's detector, its model as Triton starts it, the SavedModel."""
    folder = tmp_path_factory.mktemp("models") / "taintradar"
    (folder / "1").mkdir(parents=True)
    radar = keras.models.load_model(detector_file())
    radar.export(folder / "1/detector")
    outputs = [{"name": name} for name in tensors_of_config("output")]
    model = module.TritonPythonModel()
    model.initialize(
        {
            "model_config": json.dumps({"output": outputs, "parameters": {}}),
            "model_repository": str(folder),
            "model_version": "1",
        }
    )
    return model, tf.saved_model.load(str(folder / "1/detector"))


SCENES = draw_scenes(5, seed=3)[0]


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def ask(served, *requests):
    model, _ = served
    return model.execute([{name: Tensor(name, v) for name, v in r.items()} for r in requests])


def test_requests_are_joined_and_taken_apart(served):
    expected = served[1].signatures["serving_default"](images=tf.constant(SCENES))
    files = np.array([[png(SCENES[0])], [b"no image"]], object)
    several = [{"images": SCENES[:2]}, {"image_bytes": files}, {"images": SCENES[2:]}]
    first, of_files, rest = ask(served, *several)
    for name, values in expected.items():
        joined = np.concatenate([first.tensors[name], rest.tensors[name]])
        np.testing.assert_allclose(joined, np.reshape(values, (5, -1)), atol=1e-4, err_msg=name)
        assert len(first.tensors[name]) == 2
    assert of_files.tensors["valid"].tolist() == [[True], [False]]
    assert of_files.tensors["is_adversarial"].tolist()[1] == [True]
    np.testing.assert_allclose(of_files.tensors["score"][0], first.tensors["score"][0], atol=1e-3)


def test_a_request_without_an_image_fails_alone(served):
    empty, full = ask(served, {}, {"images": SCENES[:1]})
    assert empty.error == "The request must have one of images, image_bytes."
    assert full.error is None


def test_the_configuration_is_that_of_the_answers(served):
    inputs, outputs = tensors_of_config("input"), tensors_of_config("output")
    signature = served[1].signatures["serving_default"]
    assert inputs["images"] == ("UINT8", list(SCENES.shape[1:]))
    assert inputs["image_bytes"] == ("STRING", [1])
    assert set(outputs) == set(signature.structured_outputs)
    (found,) = ask(served, {"images": SCENES})
    for name, (kind, dims) in outputs.items():
        assert found.tensors[name].dtype == DTYPES[kind], name
        assert list(found.tensors[name].shape) == [len(SCENES), *dims], name


def test_the_json_shown_is_that_of_the_protocol(served):
    blocks = re.findall(r"```json\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    request, answer = map(json.loads, blocks)
    (given,) = request["inputs"]
    kind, dims = tensors_of_config("input")[given["name"]]
    assert (given["datatype"], given["shape"]) == (kind, [1, *dims])
    (found,) = ask(served, {"images": SCENES[:1]})
    outputs = tensors_of_config("output")
    assert [one["name"] for one in answer["outputs"]] == [one["name"] for one in request["outputs"]]
    for one in answer["outputs"]:
        kind, _ = outputs[one["name"]]
        values = found.tensors[one["name"]]
        assert (one["datatype"], one["shape"]) == (kind, list(values.shape)), one
        assert len(one["data"]) == values.size
        assert np.array(one["data"]).dtype.kind == values.dtype.kind
