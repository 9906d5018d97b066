"""The upper layers learn, too; the lower ones and the classifier that was given do not."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from drawn_people import draw_people

from tf_taintradar import TaintRadarModel
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.vggface import VGGFace, fine_tune, transfer

SMALL = {"classes": 5, "input_shape": (48, 48, 3), "width": 1 / 16}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Three subjects with 10 photographs each."""
    return draw_people(tmp_path_factory.mktemp("people"), [10] * 3, size=48)


@pytest.fixture(scope="module")
def learnt(people):
    keras.utils.set_random_seed(0)
    return transfer(people, VGGFace(**SMALL), n_train=7, epochs=2, verbose=0)


def weights(model):
    return {
        layer.name: [np.array(weight) for weight in layer.get_weights()]
        for layer in model.layers
        if layer.weights
    }


def test_layers_from_the_first_on_learn(learnt, tmp_path):
    before = weights(learnt.classifier)
    log = tmp_path / "tuning.csv"
    tuned = fine_tune(learnt, "fc7", learning_rate=1e-3, epochs=6, log=log, verbose=0)
    for now, then in zip(weights(learnt.classifier).values(), before.values(), strict=True):
        np.testing.assert_array_equal(now[0], then[0])  # what was given stays
    after = weights(tuned.classifier)
    changed = {name for name in after if not np.array_equal(after[name][0], before[name][0])}
    assert changed == {"fc7", "subjects"}
    assert all(layer.trainable for layer in tuned.classifier.layers)
    assert tuned.test is learnt.test
    assert log.read_text().startswith("epoch,accuracy,loss,val_accuracy,val_loss")
    radar = TaintRadarModel(tuned.classifier, preprocessor="vggface")
    radar.calibrate(tuned.test.files, 0.2, verbose=0)
    found = radar.predict(tuned.test.files, verbose=0)["label"]
    np.testing.assert_array_equal(found, tuned.predicted)


def test_without_progress_nothing_changes(learnt):
    assert fine_tune(learnt, "fc7", learning_rate=10.0, epochs=2, verbose=0) is learnt


def test_the_first_layer_must_be_there(learnt):
    with pytest.raises(
        UnsupportedClassifierError, match="`first` must name .* Received: 'fc9'.*conv1_1.*subjects"
    ):
        fine_tune(learnt, "fc9")


def test_batch_normalisation_keeps_its_statistics(people):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((48, 48, 3))
    x = keras.layers.Conv2D(8, 5, strides=4, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    network = keras.Model(inputs, keras.layers.Flatten(name="flat")(x))
    settings = {"preprocessor": "unit", "verbose": 0}
    learnt = transfer(people, network, kept="flat", n_train=7, epochs=3, **settings)
    tuned = fine_tune(learnt, "conv", learning_rate=1e-4, epochs=5, **settings)
    before, after = weights(learnt.classifier), weights(tuned.classifier)
    assert not np.array_equal(before["conv"][0], after["conv"][0])
    for old, new in zip(before["norm"], after["norm"], strict=True):
        np.testing.assert_array_equal(old, new)


TWO_DEVICES = """
import sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tf_taintradar import TaintRadarModel
from tf_taintradar.vggface import VGGFace, fine_tune, transfer
keras.utils.set_random_seed(0)
network = VGGFace(classes=5, input_shape=(48, 48, 3), width=1 / 16)
common = {"verbose": 0, "batch_size": 4}
plain = transfer(sys.argv[1], network, n_train=7, epochs=2, **common)
both = tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
learnt = transfer(sys.argv[1], network, n_train=7, epochs=2, strategy=both, **common)
np.testing.assert_allclose(
    learnt.classifier.get_layer("subjects").get_weights()[0],
    plain.classifier.get_layer("subjects").get_weights()[0], rtol=1e-3, atol=1e-5)
tuned = fine_tune(learnt, "fc7", learning_rate=1e-3, epochs=6, strategy=both, **common)
assert tuned is not learnt
images = np.zeros((3, 48, 48, 3), np.float32)
TaintRadarModel(tuned.classifier, preprocessor="vggface").diagnose(images)
print(tuned.classifier.predict(images, verbose=0).shape)
"""


@pytest.mark.slow
def test_several_devices(people):
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES, str(people)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("(3, 3)")
