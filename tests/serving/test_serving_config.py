"""The files for the server: parsed as the server parses them."""

import pathlib

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers
from tensorflow_serving.config import model_server_config_pb2

from tf_taintradar.errors import ServingError
from tf_taintradar.export.savedmodel import BATCH_SIZES
from tf_taintradar.serving import write_serving_config

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples/serving"
FILES = [
    "batching.config",
    "compose.cpu.yaml",
    "compose.gpu.yaml",
    "models.config",
    "monitoring.config",
]
_FIELD = descriptor_pb2.FieldDescriptorProto
# The package tensorflow-serving-api leaves these two out; numbers, names and types are those of
# session_bundle_config.proto and monitoring_config.proto.
MESSAGES = {
    "BatchingParameters": {
        1: ("max_batch_size", wrappers.Int64Value),
        2: ("batch_timeout_micros", wrappers.Int64Value),
        3: ("max_enqueued_batches", wrappers.Int64Value),
        4: ("num_batch_threads", wrappers.Int64Value),
        5: ("thread_pool_name", wrappers.StringValue),
        6: ("allowed_batch_sizes", [_FIELD.TYPE_INT64]),
        7: ("pad_variable_length_inputs", _FIELD.TYPE_BOOL),
    },
    "PrometheusConfig": {1: ("enable", _FIELD.TYPE_BOOL), 2: ("path", _FIELD.TYPE_STRING)},
    "MonitoringConfig": {1: ("prometheus_config", "PrometheusConfig")},
}


@pytest.fixture(scope="module")
def messages():
    file = descriptor_pb2.FileDescriptorProto(name="serving.proto", syntax="proto3")
    file.dependency.append(wrappers.DESCRIPTOR.name)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in fields.items():
            several = isinstance(kind, list)
            label = _FIELD.LABEL_REPEATED if several else _FIELD.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, (int, list)):
                added.type = kind[0] if several else kind
            else:
                added.type = _FIELD.TYPE_MESSAGE
                added.type_name = kind if isinstance(kind, str) else kind.DESCRIPTOR.full_name
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(name) for name in MESSAGES}
    return {name: message_factory.GetMessageClass(message) for name, message in found.items()}


@pytest.fixture
def folder(tmp_path):
    """Two detectors; one has three versions, and a folder that is none."""
    for version in ("demo/1", "demo/2", "demo/10", "faces/1", "demo/notes", "empty/1"):
        (tmp_path / version).mkdir(parents=True)
        if version != "empty/1":
            (tmp_path / version / "saved_model.pb").touch()
    return tmp_path


def models(folder):
    text = (folder / "models.config").read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    return {model.name: model for model in config.model_config_list.config}


def test_every_detector_is_served_in_its_newest_version(folder):
    written = write_serving_config(folder)
    assert sorted(path.name for path in written) == FILES
    assert all(path.parent == folder and path.is_file() for path in written)
    found = models(folder)
    assert sorted(found) == ["demo", "faces"]
    assert found["demo"].base_path == "/models/demo"
    assert found["demo"].model_platform == "tensorflow"
    assert found["demo"].model_version_policy.latest.num_versions == 1
    assert not found["demo"].version_labels


def test_labels_keep_their_versions_loaded(folder):
    write_serving_config(folder, labels={"demo": {"stable": 2, "canary": 10}})
    found = models(folder)
    assert list(found["demo"].model_version_policy.specific.versions) == [2, 10]
    assert dict(found["demo"].version_labels) == {"stable": 2, "canary": 10}
    assert found["faces"].model_version_policy.HasField("latest")


def test_batching(folder, messages):
    write_serving_config(
        folder,
        allowed_batch_sizes=(1, 3, 9),
        batch_timeout_micros=0,
        max_enqueued_batches=7,
        num_batch_threads=2,
    )
    text = (folder / "batching.config").read_text()
    batching = text_format.Parse(text, messages["BatchingParameters"]())
    assert list(batching.allowed_batch_sizes) == [1, 3, 9]
    assert batching.max_batch_size.value == 9
    assert batching.batch_timeout_micros.value == 0
    assert batching.HasField("batch_timeout_micros")
    assert (batching.max_enqueued_batches.value, batching.num_batch_threads.value) == (7, 2)


def test_the_sizes_that_the_exporter_warms_up(folder, messages):
    write_serving_config(folder)
    text = (folder / "batching.config").read_text()
    batching = text_format.Parse(text, messages["BatchingParameters"]())
    assert tuple(batching.allowed_batch_sizes) == BATCH_SIZES == (1, 2, 4, 8, 16, 32)
    assert batching.max_batch_size.value == 32


def test_monitoring(folder, messages):
    write_serving_config(folder)
    text = (folder / "monitoring.config").read_text()
    config = text_format.Parse(text, messages["MonitoringConfig"]())
    assert config.prometheus_config.enable
    assert config.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_compose_files_point_at_the_files(folder):
    write_serving_config(folder)
    cpu, gpu = ((folder / f"compose.{kind}.yaml").read_text() for kind in ("cpu", "gpu"))
    assert "image: tensorflow/serving\n" in cpu
    assert "image: tensorflow/serving:latest-gpu\n" in gpu
    assert ("nvidia" in cpu, "driver: nvidia" in gpu) == (False, True)
    for content in (cpu, gpu):
        assert "\t" not in content
        assert "- .:/models:ro\n" in content
        assert content.count('- "127.0.0.1:850') == 2  # never open to the network by itself
        for name in ("models", "batching", "monitoring"):
            assert f"=/models/{name}.config\n" in content
        assert "--allow_version_labels_for_unavailable_models=true" in content
        assert "--enable_batching=true" in content  # else the server refuses batching.config


@pytest.mark.parametrize("name", FILES)
def test_the_examples_are_what_is_written(tmp_path, name):
    (tmp_path / "demo/1").mkdir(parents=True)
    (tmp_path / "demo/1/saved_model.pb").touch()
    write_serving_config(tmp_path)
    assert (EXAMPLES / name).read_text() == (tmp_path / name).read_text()


def test_what_cannot_be_served(tmp_path, folder):
    with pytest.raises(ServingError, match="holds no exported detector: there must be a NAME/VERS"):
        write_serving_config(tmp_path / "empty")
    for labels, message in (
        ({"nobody": {}}, "names 'nobody'; the folder holds demo, faces"),
        ({"demo": {"stable": 3}}, "version 3 of 'demo', which holds 1, 2, 10"),
        ({"demo": {"a b": 1}}, "'a b' becomes part of an address"),
    ):
        with pytest.raises(ServingError, match=message):
            write_serving_config(folder, labels=labels)
    for settings in (
        {"allowed_batch_sizes": ()},
        {"allowed_batch_sizes": (2, 1)},
        {"allowed_batch_sizes": (1, 1)},
        {"allowed_batch_sizes": (0, 1)},
        {"batch_timeout_micros": -1},
        {"num_batch_threads": 0},
    ):
        with pytest.raises(ValueError, match="Received: "):
            write_serving_config(folder, **settings)
    assert not (folder / "models.config").exists()  # nothing was written by half
    (folder / "demo").rename(folder / 'a"b')
    with pytest.raises(ServingError, match="becomes part of an address: rename it"):
        write_serving_config(folder)
