import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

from tf_taintradar.demo.network import build_classifier
from tf_taintradar.demo.scenes import CLASS_NAMES, draw_scenes

TRAIN_DEMO = Path(__file__).parents[2] / "examples" / "train_demo.py"


def test_it_is_a_small_vgg_for_the_scenes():
    classifier = build_classifier()
    assert classifier.output_shape == (None, len(CLASS_NAMES))
    assert classifier.get_layer("block4_conv2").output.shape == (None, 12, 12, 96)
    assert [layer.name for layer in classifier.layers[-3:]] == ["fc1", "fc2", "predictions"]
    assert 4 * classifier.count_params() < 2.8e6  # bytes


def test_training_writes_a_detector_without_optimizer(tmp_path):
    output = tmp_path / "demo" / "detector.keras"
    main = runpy.run_path(str(TRAIN_DEMO))["main"]
    accuracy = main(output, images=64, epochs=1, benign=40, seed=0)
    assert 0 <= accuracy <= 1
    assert list(output.parent.iterdir()) == [output]
    assert output.stat().st_size < 3.1e6
    radar = keras.models.load_model(output)
    scenes, _ = draw_scenes(2, seed=5)
    predictions = radar.predict(scenes, verbose=0)["predictions"]
    np.testing.assert_allclose(predictions.sum(axis=-1), 1, rtol=1e-5)  # float32 sums
    assert radar.class_names == list(CLASS_NAMES)
    assert radar.calibration.n_images == 40


@pytest.mark.slow
def test_training_learns(tmp_path):
    main = runpy.run_path(str(TRAIN_DEMO))["main"]
    assert main(tmp_path / "detector.keras", images=10_000, epochs=3) > 0.15
