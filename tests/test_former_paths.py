"""Import paths of before 0.2 go on working."""

import importlib

import pytest

import tf_taintradar

FORMER = {
    "applications": ["load_detector", "read_class_names", "PREPROCESSORS"],
    "calibration": ["Calibration", "wilson_interval"],
    "classifier": ["OpenedClassifier", "open_classifier"],
    "cover": ["covering_windows"],
    "decoding": ["decode_images"],
    "detection": ["Detection", "detect"],
    "diagnosis": ["Diagnosis"],
    "explanation": ["Explanation"],
    "export": ["export_savedmodel", "with_precision"],
    "faces": ["FaceDetector", "train_face_detector"],
    "fills": ["Noise", "fill_region", "make_fill"],
    "image_files": ["find_images", "iterate_batches", "read_image"],
    "images": ["Shape", "as_pixels", "check_shape"],
    "occlusion": ["SIDES", "most_critical", "strength", "take_out", "to_pixels"],
    "pipeline": ["Arrays", "Pipeline", "Tensors", "over_batches"],
    "precision": ["at_precision", "precision_of"],
    "preprocessing": ["make_preprocessor"],
    "rank_calibration": ["RankCalibration", "choose_thresholds"],
    "ranks": ["largest_increases", "rank_of"],
    "savedmodel": ["BATCH_SIZES", "versions_in"],
    "score_calibration": ["ScoreCalibration", "choose_threshold", "smallest_threshold"],
    "settings": ["require"],
    "signatures": ["UNKNOWN", "signatures"],
    "store": ["Store", "checksum"],
    "vggface.subjects": ["Photographs", "Subjects", "find_subjects"],
    "vggface.transfer": ["Transfer", "teach", "transfer"],
    "vggface.tuning": ["fine_tune"],
}


@pytest.mark.parametrize("path", FORMER)
def test_former_names_are_there(path):
    module = importlib.import_module(f"tf_taintradar.{path}")
    for name in FORMER[path]:
        found = getattr(module, name)
        assert getattr(found, "__module__", "tf_taintradar").startswith(
            ("tf_taintradar", "builtins")
        )


def test_they_are_attributes_too_and_others_are_not():
    assert tf_taintradar.preprocessing.make_preprocessor is not None
    with pytest.raises(AttributeError, match="has no attribute 'gone'"):
        tf_taintradar.gone  # noqa: B018
