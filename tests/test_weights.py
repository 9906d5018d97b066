"""A calibration knows the weights it was made for."""

import logging

import keras
import numpy as np
import pytest
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel, export_savedmodel
from tf_taintradar.calibration.record import Calibration
from tf_taintradar.classifier.checksum import WeightsChecksum
from tf_taintradar.errors import NotCalibratedError

WARNING = "weights have changed since this detector was calibrated"


@pytest.fixture
def radar():
    radar = TaintRadarModel(build_small_classifier())
    radar.calibrate(draw_images(40), target_fpr=0.1, verbose=0)
    return radar


def train(network):
    network.compile("sgd", "sparse_categorical_crossentropy")
    images = draw_images(8).astype("float32")
    network.fit(images, np.arange(8) % 5, epochs=1, verbose=0)


def warnings_of(radar, caplog):
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="tf_taintradar"):
        radar.predict(draw_images(2), verbose=0)
    return [record.message for record in caplog.records if WARNING in record.message]


def test_training_after_a_calibration_is_seen(radar, tmp_path, caplog):
    assert not warnings_of(radar, caplog)
    before = radar.calibration
    train(radar.classifier)
    assert warnings_of(radar, caplog)
    with pytest.raises(NotCalibratedError, match=WARNING):
        radar.export(tmp_path / "served")
    with pytest.raises(NotCalibratedError, match=WARNING):
        export_savedmodel(radar, tmp_path / "served")
    assert not list(tmp_path.iterdir())
    radar.calibrate(draw_images(40), target_fpr=0.1, verbose=0)
    assert not warnings_of(radar, caplog)
    assert radar.calibration.weights != before.weights
    radar.export(tmp_path / "served")


def test_it_is_said_once_for_the_same_weights(radar, caplog):
    for _ in range(2):
        train(radar.classifier)
        assert len(warnings_of(radar, caplog)) == 1
        assert not warnings_of(radar, caplog)


@pytest.mark.parametrize("is_trained", [False, True])
def test_it_is_seen_in_another_process_too(is_trained, radar, tmp_path, caplog):
    if is_trained:
        train(radar.classifier)
    radar.save(tmp_path / "radar.keras")
    loaded = keras.models.load_model(tmp_path / "radar.keras")
    assert loaded.calibration.weights == radar.calibration.weights
    assert bool(warnings_of(loaded, caplog)) == is_trained


def test_the_last_layer_alone(radar, caplog):
    kernel = radar.classifier.layers[-1].kernel
    kernel.assign(kernel * 1.001)
    assert warnings_of(radar, caplog)


def test_a_record_without_weights_is_taken_as_it_is(radar, caplog):
    values = radar.calibration.to_json().replace(radar.calibration.weights, "other")
    radar.calibration = Calibration.from_json(values)
    assert warnings_of(radar, caplog)
    radar.calibration = Calibration.from_json(values.replace('"other"', "null"))
    assert radar.calibration.weights is None
    assert not warnings_of(radar, caplog)


def test_a_threshold_of_ones_own_is_nobodys_calibration(radar, caplog):
    radar.score_threshold = 1.0
    train(radar.classifier)
    assert not warnings_of(radar, caplog)


def test_half_precision_has_the_same_weights(radar, tmp_path):
    export_savedmodel(radar, tmp_path / "served", precision="bfloat16")


def test_dropout_draws_no_other_weights():
    network = keras.Sequential(
        [
            keras.Input((24, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )
    radar = TaintRadarModel(network)
    checksum = WeightsChecksum(radar.weights)
    before = checksum()
    network(draw_images(2), training=True)
    assert checksum() == before
    assert WeightsChecksum([])() != before
