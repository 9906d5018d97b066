"""What is in a SavedModel: each weight once, plain operations, a description, warm-up requests."""

import hashlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from savedmodel_files import all_nodes, entries, functions_of, graph_of, metadata_of, size_of
from small_detector import build_small_classifier, draw_images
from tensorflow.python.framework import kernels
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tf_taintradar import TaintRadarModel
from tf_taintradar.export.savedmodel import BATCH_SIZES

SERVED = {"serving_default", "serve_float", "serve_bytes", "classify", "explain"}
# Three numbers, a shape, inside a vectorised matrix product: TensorFlow keeps shapes in the
# processor's memory anyway, for every device.
SPLITS_OF_SHAPES = ("Split", tf.int32.as_datatype_enum)


# Weights


def test_each_weight_is_stored_once_and_nothing_else(exported):
    assert len(entries(exported.folder)) == len(exported.radar.weights) == 8
    assert sorted(path.name for path in exported.folder.iterdir()) == [
        "assets",
        "assets.extra",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
    ]


def test_a_larger_network_takes_the_place_of_its_weights(tmp_path):
    """75 MB in the manner of VGG, nested, with batch normalisation and dropout."""
    base = keras.Sequential(
        [
            keras.Input((64, 64, 3)),
            *(keras.layers.Conv2D(64, 3, strides=4, activation="relu") for _ in range(2)),
            keras.layers.BatchNormalization(),
        ]
    )
    inputs = keras.Input((64, 64, 3))
    x = keras.layers.Flatten()(base(inputs))
    x = keras.layers.Dense(18_000, activation="relu")(x)
    x = keras.layers.Dropout(0.5)(x)
    classifier = keras.Model(inputs, keras.layers.Dense(10)(x))
    radar = TaintRadarModel(classifier, preprocessor="caffe", rank_threshold=2)
    radar.export(tmp_path / "large")
    weights = sum(weight.numpy().nbytes for weight in classifier.weights)
    assert weights > 50_000_000
    assert len(entries(tmp_path / "large")) == len(classifier.weights)
    assert size_of(tmp_path / "large") <= weights + 1_500_000  # of graphs, whatever the weights
    stored = metadata_of(tmp_path / "large")["weights"]
    assert (stored["tensors"], stored["bytes"]) == (len(classifier.weights), weights)


# Operations


def test_no_operation_needs_python_draws_numbers_or_demands_a_compiler(exported):
    nodes = list(all_nodes(graph_of(exported.folder)))
    assert len(nodes) > 1000
    for node in nodes:
        assert "PyFunc" not in node.op
        assert "Random" not in node.op
        assert "_XlaMustCompile" not in node.attr
        assert "jit_compile" not in str(node.attr.keys())
    for function in graph_of(exported.folder).graph_def.library.function:
        assert "_XlaMustCompile" not in function.attr


@pytest.mark.parametrize("variant", ["occlusion", "paper"])
def test_every_operation_has_a_kernel_for_gpus(request, variant):
    exported = request.getfixturevalue(f"exported_{variant}")
    if not tf.test.is_built_with_cuda():
        pytest.skip("this TensorFlow is built without GPU kernels")
    graph = graph_of(exported.folder)
    for signature in ("serving_default", "serve_float", "classify", "explain"):
        functions = functions_of(graph, signature)
        nodes = [n for f in functions.values() for n in f.node_def if n.op not in functions]
        assert len(nodes) > 20
        missing = {(node.op, node.attr["T"].type) for node in nodes if not runs_on_gpu(node)}
        assert missing <= {SPLITS_OF_SHAPES}, signature


def runs_on_gpu(node):
    registered = kernels.get_registered_kernels_for_op(node.op).kernel
    return any(
        kernel.device_type in ("GPU", "DEFAULT")
        and all(
            set(types_of(node, constraint.name)) <= set(constraint.allowed_values.list.type)
            for constraint in kernel.constraint
        )
        for kernel in registered
    )


def types_of(node, attribute):
    value = node.attr[attribute]
    return [value.type] if value.type else list(value.list.type)


# The description


def test_the_description_says_what_is_served(exported_paper):
    exported = exported_paper
    metadata = metadata_of(exported.folder)
    weights, versions = metadata.pop("weights"), metadata.pop("versions")
    assert metadata == {
        "classifier": exported.radar.classifier.name,
        "precision": "float32",
        "input_shape": [24, 16, 3],
        "n_classes": 5,
        "label": None,
        "class_names": ["cat", "dog", "owl", "fox", "bee"],
        "feature_layer": "last",
        "feature_shape": [6, 4, 8],
        "fill": "Noise(seed=1)",
        "temperature": 2.0,
        "map_threshold": 0.15,
        "top_k": 2,
        "variant": "paper",
        "rule": {},
        "threshold": 0,
        "calibration": None,
        "provenance": [],
        "signatures": sorted(SERVED),
        "batch_sizes": [1, 2, 4, 8, 16, 32],
    }
    values = [weight.numpy() for weight in exported.radar.weights]
    assert weights == {
        "tensors": 8,
        "bytes": sum(value.nbytes for value in values),
        "sha256": hashlib.sha256(b"".join(value.tobytes() for value in values)).hexdigest(),
    }
    assert versions["tensorflow"] == tf.__version__
    assert versions["keras"] == keras.__version__
    assert versions["tf_taintradar"]


def test_the_calibration_and_one_changed_weight_show(exported, tmp_path):
    classifier = build_small_classifier()
    kernel = classifier.get_layer("last").kernel
    kernel.assign(kernel + np.eye(8) * 1e-6)
    radar = TaintRadarModel(classifier)
    radar.calibrate(draw_images(40), verbose=0)
    radar.export(tmp_path / "radar")
    metadata, other = metadata_of(tmp_path / "radar"), metadata_of(exported.folder)
    assert (metadata["top_k"], metadata["threshold"]) == (None, radar.score_threshold)
    assert metadata["calibration"] == json.loads(radar.calibration.to_json())
    assert metadata["weights"]["sha256"] != other["weights"]["sha256"]
    assert metadata["weights"]["bytes"] == other["weights"]["bytes"]


# Warm-up


def test_every_warmup_request_runs(exported):
    """TensorFlow Serving refuses to load a model if one of them fails."""
    model = tf.saved_model.load(exported.folder)
    path = exported.folder / "assets.extra" / "tf_serving_warmup_requests"
    assert path.stat().st_size < 20_000
    seen = []
    for record in tf.data.TFRecordDataset([str(path)]):
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        signature = request.model_spec.signature_name
        inputs = {name: tf.constant(tf.make_ndarray(t)) for name, t in request.inputs.items()}
        answers = model.signatures[signature](**inputs)
        n = len(answers["label"])
        assert all(len(value) == n for value in answers.values())
        assert (answers["label"].numpy() >= 0).all()
        assert answers["valid"].numpy().all()
        seen.append((signature, n))
    assert sorted(seen) == [(name, n) for name in sorted(SERVED) for n in sorted(BATCH_SIZES)]
