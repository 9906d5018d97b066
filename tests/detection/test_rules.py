"""Rules as objects: their settings, their registry, and one that is added in ten lines."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from added_rule import Blank
from PIL import Image
from small_detector import build_small_classifier, draw_images
from typer.testing import CliRunner

from tf_taintradar import TaintRadarModel, evaluate, export_savedmodel, rules
from tf_taintradar.attacks import AdaptivePatch, certify
from tf_taintradar.classifier.opened import open_classifier
from tf_taintradar.cli import app
from tf_taintradar.detection import detect
from tf_taintradar.evaluation import DEFENCES, selftest
from tf_taintradar.serving import load

TESTS = pathlib.Path(__file__).parents[1]
IMAGES = draw_images(40)


@pytest.fixture
def blank():
    """The rule of added_rule.py, registered for one test."""
    yield rules.register_rule(Blank)
    del rules.RULES["blank"]


@pytest.fixture
def radar(blank):
    radar = TaintRadarModel(build_small_classifier(), variant=blank(color=10.0))
    radar.calibrate(IMAGES, 0.2, verbose=0)
    return radar


# An added rule


def test_an_added_rule_predicts_and_calibrates(radar):
    assert (radar.variant, radar.rule.color) == ("blank", 10.0)
    found = radar.predict(IMAGES, verbose=0)
    critical = np.stack([radar.explain(image).critical_region for image in IMAGES])
    cleaned = np.where(critical[..., None], np.float32(10), IMAGES)
    after = radar.classifier.predict(cleaned, verbose=0)
    np.testing.assert_array_equal(found["recovered_label"], after.argmax(-1))
    own = after[np.arange(len(after)), found["label"]]
    np.testing.assert_array_equal(found["score"], (after > own[:, None]).sum(-1))
    np.testing.assert_array_equal(found["is_adversarial"], found["score"] > radar.score_threshold)
    assert found["is_adversarial"].mean() <= 0.2
    assert np.ptp(found["score"]) > 0
    assert radar.calibration.variant == "blank"
    assert radar.calibration.settings == {"color": 10.0}


def test_an_added_rule_explains(radar, tmp_path):
    explained = radar.explain(IMAGES[0])
    titles = [axis.get_title() for axis in explained.plot(tmp_path / "why.png").axes]
    heads = ["input", "critical region", "tainted region", "final input"]
    assert [title.split("\n")[0] for title in titles] == heads
    assert not radar.diagnose(IMAGES).is_blind


def test_an_added_rule_is_saved_and_loaded_in_a_fresh_process(radar, tmp_path):
    radar.save(tmp_path / "radar.keras")
    np.savez(tmp_path / "expected.npz", **radar.predict(IMAGES, verbose=0))
    again = keras.models.load_model(tmp_path / "radar.keras")
    assert again.rule == radar.rule
    code = """
import sys; sys.path.insert(0, sys.argv[2])
import keras, numpy as np, added_rule, small_detector
from tf_taintradar import rules
folder, images = sys.argv[1], small_detector.draw_images(40)
try:
    keras.models.load_model(folder + "/radar.keras")
except ValueError as error:
    assert "cover, paper. Received: 'blank'" in str(error), error
rules.register_rule(added_rule.Blank)
radar = keras.models.load_model(folder + "/radar.keras")
expected = np.load(folder + "/expected.npz")
for name, values in radar.predict(images, verbose=0).items():
    np.testing.assert_allclose(values, expected[name], atol=1e-5)
assert radar.rule == added_rule.Blank(color=10.0)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path, TESTS], cwd=TESTS.parent, check=True)


def test_an_added_rule_is_exported(radar, tmp_path):
    expected = radar.predict(IMAGES, verbose=0)
    served = load(export_savedmodel(radar, tmp_path / "radar"))
    for name, values in served.predict(IMAGES).items():
        np.testing.assert_allclose(values, expected[name], atol=1e-5, err_msg=name)
    assert served.metadata["variant"] == "blank"
    assert served.metadata["rule"] == {"color": 10.0}


def test_an_added_rule_is_evaluated(radar):
    assert list(DEFENCES)[:6] == [
        "taintradar",
        "taintradar-windows",
        "taintradar-bands",
        "taintradar-cover",
        "taintradar-paper",
        "taintradar-blank",
    ]
    common = {"n_attacked": 4, "verbose": 0}
    attacks = ["partial-30"]
    for defences in (["taintradar-blank", "taintradar"], {"mine": radar}):
        found = evaluate(
            radar, IMAGES, attacks=attacks, defences=defences, target_fprs=[0.2], **common
        )
        assert found.defences == list(defences)
    assert selftest(radar, IMAGES, **common).threshold == radar.threshold


def test_an_attacker_who_knows_an_added_rule(radar):
    attack = AdaptivePatch(radar, target_class=2, steps=2, diameter=0.5)
    assert attack.partial(IMAGES[:2], verbose=0).images.shape == (2, 24, 16, 3)


def test_an_added_rule_on_the_command_line(blank, tmp_path):
    build_small_classifier().save(tmp_path / "classifier.keras")
    (tmp_path / "benign").mkdir()
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / "benign" / f"{i:02}.png")
    model, benign, made = (str(tmp_path / n) for n in ("classifier.keras", "benign", "r.keras"))
    run = CliRunner().invoke
    options = ["--variant", "blank", "--target-fpr", "0.2", "--output", made]
    assert run(app, ["calibrate", model, benign, *options]).exit_code == 0
    found = run(app, ["detect", made, benign, "--json"])
    assert found.exit_code == 0
    assert json.loads(found.stdout)["variant"] == "blank"


def test_the_help_and_the_defences_are_made_of_the_rules():
    code = """
import sys; sys.path.insert(0, sys.argv[1])
import added_rule
from tf_taintradar import rules
rules.register_rule(added_rule.Blank)
from typer.testing import CliRunner
from tf_taintradar.cli import app
def read(command):
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "4000"}).output
    return " ".join(text.split())
for rule in rules.RULES.values():
    for command in ("calibrate", "detect", "selftest", "faces-train"):
        assert f"{rule.name} ({rule.purpose})" in read(command), (rule.name, command)
    assert f"taintradar-{rule.name}" in read("evaluate") or rule.name == "occlusion"
"""
    subprocess.run([sys.executable, "-c", code, TESTS], cwd=TESTS.parent, check=True)


# The registry


def test_what_cannot_be_registered(blank):
    @dataclasses.dataclass(frozen=True)
    class Nameless(rules.Rule):
        def detect(self, classifier, prediction, maps, *, slope=None):
            raise NotImplementedError

    for kind in (Nameless, Blank(), dict, "blank"):
        with pytest.raises(ValueError, match="`kind` must be a subclass of Rule with a `name`"):
            rules.register_rule(kind)

    class Taken(Nameless):
        name, purpose = "cover", "none"

    with pytest.raises(ValueError, match="`name` must be a name that no other rule has"):
        rules.register_rule(Taken)
    assert rules.RULES["cover"] is rules.Cover
    assert rules.register_rule(Blank) is Blank


def test_every_rule_says_what_it_is_for():
    for name, rule in rules.RULES.items():
        assert rule.name == name
        assert rule.purpose
        assert "\n" not in rule.purpose


# Settings


SETTINGS = [
    rules.Occlusion(),
    rules.Occlusion(depths=2, share=0.2),
    rules.Windows(sides=(0.2, 0.5)),
    rules.Bands(bands=[(0.3, 0.25), (0.6, 0.3)]),
    rules.Cover(largest_patch=0.2, per_side=3),
    rules.Paper(fill="blur", top_k=3),
]


@pytest.mark.parametrize("rule", SETTINGS, ids=repr)
def test_a_rule_with_settings_of_its_own(rule, tmp_path):
    radar = TaintRadarModel(build_small_classifier(), variant=rule)
    assert radar.variant == rule.name
    radar.calibrate(IMAGES, 0.2, verbose=0)
    radar.save(tmp_path / "radar.keras")
    again = keras.models.load_model(tmp_path / "radar.keras")
    assert again.calibration.to_json() == radar.calibration.to_json()
    assert repr(again.rule) == repr(radar.rule)
    expected = radar.predict(IMAGES, verbose=0)
    for name, values in again.predict(IMAGES, verbose=0).items():
        np.testing.assert_array_equal(values, expected[name])
    pixels = tf.constant(IMAGES, tf.float32)
    found = detect(radar.opened, pixels, variant=radar.rule)
    np.testing.assert_allclose(found.score, expected["score"], rtol=1e-4, atol=1e-4)


def test_settings_change_what_is_found():
    opened = open_classifier(build_small_classifier())
    pixels = tf.constant(IMAGES, tf.float32)
    plain, other = (
        detect(opened, pixels, variant=rule).evidence
        for rule in (rules.Cover(), rules.Cover(largest_patch=0.2, per_side=3))
    )
    assert plain.covered_lacks.shape == (40, 16)
    assert other.covered_lacks.shape == (40, 9)
    one = detect(opened, pixels, variant=rules.Windows(sides=[0.5]))
    assert one.evidence.windows.shape[:2] == (40, 1)
    np.testing.assert_array_equal(one.evidence.falls[:, 0], one.score)


def test_certainty_uses_the_windows_of_the_rule():
    radar = TaintRadarModel(
        build_small_classifier(), variant=rules.Cover(0.4, 2), score_threshold=-99
    )
    painted = np.zeros((1, 24, 16), bool)
    painted[:, 2:16, 1:10] = True  # within a window of `Cover(0.4, 2)`, none of the default's
    assert not rules.Cover().covering_windows((24, 16))[:, painted[0]].all(axis=1).any()
    assert certify(radar, IMAGES[:1], painted, 2).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rules.Windows(sides=()), "`sides` must be fractions"),
        (lambda: rules.Windows(sides=(0.5, 0.2)), "ascending. Received: \\(0.5, 0.2\\)"),
        (lambda: rules.Bands(bands=[]), "`bands` must be pairs of top and height"),
        (lambda: rules.Bands(bands=(0.3, 0.25)), "`bands` must be pairs of top and height"),
        (lambda: rules.Bands(bands=[(0.9, 0.2)]), r"Received: \[\(0.9, 0.2\)\]"),
        (lambda: rules.Bands(bands=[(0.0, 1.0)]), "`bands` must be pairs of top and height"),
        (lambda: rules.Bands(bands=[("top", 0.2)]), "`bands` must be pairs of top and height"),
        (lambda: rules.Cover(largest_patch=1), "`largest_patch` must be a fraction"),
        (lambda: rules.Cover(per_side=0), "`per_side` must be an integer of at least 1"),
        (lambda: rules.Paper(top_k=0), "`top_k` must be an integer of at least 1"),
        (lambda: rules.Paper(fill="plaid"), "plaid"),
        (lambda: rules.make_rule("papers"), "cover, paper. Received: 'papers'"),
        (lambda: rules.make_rule(rules.Cover(), fill="blur"), "`fill` must be left out"),
        (lambda: rules.make_rule(7), "`variant` must be a rule"),
    ],
)
def test_settings_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_calibration_of_other_settings_is_refused():
    small, large = (
        TaintRadarModel(build_small_classifier(), variant=rules.Cover(largest_patch=share))
        for share in (0.2, 0.3)
    )
    found = small.calibrate(IMAGES, 0.2, verbose=0)
    with pytest.raises(ValueError, match="`calibration` must be one of a rule with the settings"):
        large.calibration = found
    assert large.threshold is None
    again = TaintRadarModel(build_small_classifier(), variant=rules.Cover(largest_patch=0.2))
    again.calibration = found
    assert again.threshold == small.threshold
