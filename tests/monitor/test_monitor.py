"""A detector in use, against what its calibration promised."""

import threading

import numpy as np
import pytest
import tensorflow as tf
from small_detector import draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.calibration import choose_threshold, choose_thresholds
from tf_taintradar.errors import CalibrationError
from tf_taintradar.monitor import Monitor
from tf_taintradar.serving import load
from tf_taintradar.serving.verdict import to_verdicts


@pytest.fixture(scope="module")
def calibration():
    """Of the scores 0, 1, ... 999: the threshold is 940, target 6 %."""
    return choose_threshold(np.arange(1000.0), 0.06, variant="windows")


def answers_of(scores, threshold=940):
    scores = np.asarray(scores, np.float64)
    return {"score": scores, "is_adversarial": ~(scores <= threshold)}


def state(monitor):
    found = monitor.report()
    numbers = (found.n_images, found.n_flagged, found.n_invalid, found.evidence, found.alarms)
    more = (found.last_alarm, found.distance, found.interval)
    return (*numbers, *more, tuple(found.scores.counts), found.scores.total)


def test_images_are_counted(calibration):
    monitor = Monitor(calibration)
    monitor.observe(answers_of([10, 950, 999, np.nan, np.inf, 940]))
    monitor.observe([{"score": None, "is_adversarial": True}])  # as `taintradar detect --json` says
    found = monitor.report()
    assert (found.n_images, found.n_flagged, found.n_invalid) == (4, 2, 3)
    assert found.share == 0.5
    assert found.interval[0] < 0.5 < found.interval[1]
    assert found.target == 0.06
    assert not found.alarm


def test_at_once_and_one_by_one_are_the_same(calibration):
    scores = np.random.default_rng(0).integers(500, 1000, 1000).astype(float)
    scores[::50] = np.nan
    at_once, singly, in_parts = (Monitor(calibration, false_alarm_every=50) for _ in range(3))
    at_once.observe(answers_of(scores))
    for score in scores:
        singly.observe(answers_of([score]))
    for part in np.array_split(scores, 7):
        in_parts.observe(answers_of(part))
    assert state(at_once) == state(singly) == state(in_parts)
    assert at_once.report().alarms > 0


def test_every_form_of_answers_says_the_same(calibration):
    scores, labels = [10.0, 960.0, -1.0, 970.0], [0, 3, -1, 2]
    columns = {
        "predictions": np.zeros((4, 5), np.float32),
        "label": np.array(labels),
        "is_adversarial": np.array([False, True, True, True]),
        "rank_shift": np.array([0, 1, -1, 2]),
        "score": np.array(scores, np.float32),
        "recovered_label": np.array(labels),
    }
    rows = [{name: values[i].tolist() for name, values in columns.items()} for i in range(4)]
    valid = {**columns, "valid": np.array([True, True, False, True])}
    del valid["label"]
    forms = [
        columns,
        valid,
        {name: tf.constant(values) for name, values in columns.items()},
        {name: values.tolist() for name, values in columns.items()},
        rows,
        to_verdicts(columns, range(4)),
        {"predictions": rows},
        {"outputs": {name: values.tolist() for name, values in columns.items()}},
    ]
    found = []
    for form in forms:
        monitor = Monitor(calibration)
        monitor.observe(form)
        found.append(state(monitor))
    assert len(set(found)) == 1
    assert found[0][:3] == (3, 2, 1)


def test_no_images_change_nothing(calibration):
    monitor = Monitor(calibration)
    before = state(monitor)
    monitor.observe([])
    monitor.observe({"score": [], "is_adversarial": []})
    assert state(monitor) == before
    assert monitor.report().share is None
    assert "no image" in str(monitor)


@pytest.mark.parametrize(
    "answers",
    [
        None,
        "answers",
        {"score": [1.0]},
        {"predictions": [{"label": 1}]},
        {"score": ["high"], "is_adversarial": [True]},
        {"score": [1.0, 2.0], "is_adversarial": [True]},
        {"score": [1.0], "is_adversarial": [0.3]},
        [{"score": 1.0, "is_adversarial": True}, {"score": 1.0}],
        {"score": 1.0, "is_adversarial": True},
    ],
)
def test_what_are_no_answers_is_refused_and_not_counted(answers, calibration):
    monitor = Monitor(calibration)
    before = state(monitor)
    with pytest.raises(ValueError, match="`answers` must be the answers of a detector"):
        monitor.observe(answers)
    with pytest.raises(ValueError, match="`seconds` must be 0 or more"):
        monitor.observe(answers_of([1]), seconds=-1)
    assert state(monitor) == before


def test_an_alarm_comes_from_more_flags_than_calibrated(calibration):
    rng = np.random.default_rng(1)
    monitor = Monitor(calibration)
    monitor.observe(answers_of(rng.uniform(0, 1000, 20_000)))  # 6 %
    assert not monitor.report().alarm
    assert monitor.report().distance < 0.06
    monitor.observe(answers_of(rng.uniform(200, 1200, 3_000)))  # 26 %
    found = monitor.report()
    assert found.alarm
    assert found.distance > 0.15
    assert found.last_alarm > 20_000
    assert "ALARM: a rate above 7.5%" in str(monitor)


def test_the_rate_is_what_the_calibration_leaves_likely(calibration):
    assert Monitor(calibration).report().rate == calibration.fpr_interval[1] > 0.06
    assert Monitor(calibration, rate=0.06).report().rate == 0.06
    many = choose_threshold(np.arange(100_000.0), 0.06, variant="windows")
    assert 0.06 < Monitor(many).report().rate < 0.062
    names = np.array(["day"] * 900 + ["night"] * 100)
    divided = choose_threshold(np.arange(1000.0), 0.06, variant="windows", groups=names)
    worst = max(group.fpr_interval[1] for group in divided.groups)
    assert Monitor(divided).report().rate == worst > calibration.fpr_interval[1]


def test_a_rank_calibration_has_no_scores_to_compare(calibration):
    shifts = np.tile(np.arange(100)[:, None], (1, 3))
    ranks = choose_thresholds(shifts, np.ones((100, 3)), target_fpr=0.1, n_classes=200)
    monitor = Monitor(ranks)
    monitor.observe(answers_of([5, 95], ranks.threshold))
    assert monitor.report().distance is None
    assert monitor.report().scores.bounds == (ranks.threshold,)
    assert monitor.report().scores.counts.tolist() == [1, 1]


def test_the_histogram_lies_between_benign_quantiles(calibration):
    monitor = Monitor(calibration)
    monitor.observe(answers_of(calibration.scores))
    found = monitor.report().scores
    assert found.bounds == pytest.approx(
        [99.9, 249.75, 499.5, 749.25, 899.1, 940, 949.05, 969.03, 989.01]
    )
    assert found.counts.tolist() == [100, 150, 250, 250, 150, 41, 9, 20, 20, 10]
    assert found.total == calibration.scores.sum()
    assert monitor.report().distance == 0


def test_a_watched_detector_answers_as_before(small_classifier):
    radar = TaintRadarModel(small_classifier)
    images = draw_images(40)
    with pytest.raises(CalibrationError, match="no calibration"):
        Monitor(radar)
    radar.calibrate(images, target_fpr=0.1, verbose=0)
    monitor = Monitor(radar)
    predict = monitor.watch(radar.predict)
    found, expected = predict(images, verbose=0), radar.predict(images, verbose=0)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    report = monitor.report()
    assert (report.n_images, report.n_flagged) == (40, expected["is_adversarial"].sum())
    assert report.seconds.counts.sum() == 1
    assert report.seconds.total > 0
    monitor.watch(radar)(images)  # tensors
    assert monitor.report().n_images == 80


def test_an_error_of_the_detector_is_passed_on(calibration):
    monitor = Monitor(calibration)
    with pytest.raises(ZeroDivisionError):
        monitor.watch(lambda x: x / 0)(1)
    assert monitor.report().seconds.counts.sum() == 0


def test_a_served_detector_brings_its_calibration(tmp_path, small_classifier):
    radar = TaintRadarModel(small_classifier)
    radar.calibrate(draw_images(40), target_fpr=0.1, verbose=0)
    radar.export(tmp_path / "1")
    served = load(tmp_path)
    monitor = Monitor(served)
    monitor.watch(served.predict)(draw_images(40))
    assert monitor.report().n_images == 40
    assert monitor.report().rate == Monitor(radar).report().rate
    with pytest.raises(ValueError, match="`source` must be a TaintRadarModel"):
        Monitor(small_classifier)


def test_a_detector_without_calibration_needs_a_rate(exported):
    with pytest.raises(CalibrationError, match="rate="):
        Monitor(load(exported.folder))
    monitor = Monitor(load(exported.folder), rate=0.1)
    monitor.observe(answers_of([1, 2]))
    assert monitor.report().target is None
    assert "2 images flagged" in str(monitor)
    assert "calibrated" not in str(monitor)


def test_threads_may_share_a_monitor(calibration):
    monitor = Monitor(calibration)
    work = [
        threading.Thread(target=lambda: [monitor.observe(answers_of([1, 950])) for _ in range(200)])
        for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    found = monitor.report()
    assert (found.n_images, found.n_flagged) == (1600, 800)
