"""The self test: what it says of a detector, and what it advises."""

import dataclasses

import pytest
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel
from tf_taintradar.detection.rules import RULES
from tf_taintradar.evaluation import SelfTest, selftest
from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.evaluation.selftest import _advice

GOOD = SelfTest(
    is_calibrated=True,
    target_fpr=0.06,
    threshold=1.0,
    benign=Rate(3, 50),
    succeeded={"partial patches": Rate(24, 24)},
    flagged={"partial patches": Rate(23, 24)},
    advice=[],
)


@pytest.mark.parametrize("variant", RULES)
def test_a_new_detector_gets_a_threshold_for_the_test_alone(variant):
    radar = TaintRadarModel(build_small_classifier(), variant=variant)
    found = selftest(radar, draw_images(60), n_attacked=4, target_fpr=0.1, verbose=0)
    assert not found.is_calibrated
    assert found.target_fpr == 0.1
    assert radar.threshold is None
    assert found.benign.n == 30
    attacks = {"universal patch", "partial patches", *(["glasses"] if variant == "bands" else [])}
    assert found.succeeded.keys() == found.flagged.keys() == attacks
    for attack, succeeded in found.succeeded.items():
        assert found.flagged[attack].n == succeeded.hits


def test_a_calibrated_one_keeps_its_own():
    radar = TaintRadarModel(build_small_classifier())
    calibration = radar.calibrate(draw_images(40), 0.2, verbose=0)
    found = selftest(radar, draw_images(60), n_attacked=4, verbose=0)
    assert found.is_calibrated
    assert (found.threshold, found.target_fpr) == (calibration.threshold, 0.2)
    assert radar.calibration is calibration
    by_hand = TaintRadarModel(build_small_classifier(), score_threshold=1e6)
    found = selftest(by_hand, draw_images(60), n_attacked=4, verbose=0)
    assert (found.threshold, found.target_fpr) == (1e6, None)
    assert found.benign.hits == 0


def test_nothing_to_advise():
    assert _advice(GOOD, "occlusion") == []
    assert GOOD.holds


@pytest.mark.parametrize(
    ("change", "variant", "words"),
    [
        ({"benign": Rate(20, 50)}, "occlusion", "more than the 6%"),
        ({"succeeded": {"partial patches": Rate(4, 24)}}, "occlusion", "too few to judge"),
        ({"flagged": {"partial patches": Rate(4, 24)}}, "occlusion", "an earlier feature layer"),
        ({"flagged": {"partial patches": Rate(4, 24)}}, "paper", "variant='occlusion'"),
        ({"flagged": {"partial patches": Rate(12, 12)}}, "occlusion", "fewer than 20"),
    ],
)
def test_advice(change, variant, words):
    seen = dataclasses.replace(GOOD, **change)
    (advice,) = _advice(seen, variant)
    assert words in advice
    assert not dataclasses.replace(seen, advice=[advice]).holds


def test_faces_wear_plain_frames_and_adversarial_ones():
    radar = TaintRadarModel(build_small_classifier(), variant="bands")
    given = {"n_attacked": 4, "target_fpr": 0.1, "verbose": 0}
    found = selftest(radar, draw_images(60), **given)
    assert found.plain.n == found.benign.n == 30
    assert list(found.flagged) == ["universal patch", "partial patches", "glasses"]
    assert found.others.keys() == {"occlusion"}
    assert found.others["occlusion"].keys() == found.flagged.keys()
    as_scenes = selftest(radar, draw_images(60), faces=False, **given)
    assert (as_scenes.plain, as_scenes.others) == (None, {})
    assert as_scenes.benign == found.benign


def test_a_detector_that_flags_wearers_is_told_so():
    (advice,) = _advice(dataclasses.replace(GOOD, plain=Rate(20, 50)), "bands")
    assert "people who simply wear glasses are taken for attackers" in advice
    assert "faces.plain_glasses" in advice
    assert _advice(dataclasses.replace(GOOD, plain=Rate(5, 50)), "bands") == []


def test_the_variant_that_finds_more_is_recommended():
    others = {"bands": {"partial patches": Rate(24, 24)}}
    assert _advice(dataclasses.replace(GOOD, others=others), "occlusion") == []
    few = {"partial patches": Rate(20, 24)}
    advice = _advice(dataclasses.replace(GOOD, others=others, flagged=few), "occlusion")
    assert "Variant 'bands' flags 100% (86 to 100) of the partial patches" in advice[0]


def test_a_false_positive_rate_within_its_interval_is_no_reason():
    assert _advice(dataclasses.replace(GOOD, benign=Rate(6, 50)), "occlusion") == []
