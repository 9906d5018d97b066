"""The table: who is attacked, who is asked, what is counted."""

import dataclasses
import html.parser
import json

import numpy as np
import pytest
from small_detector import build_small_classifier, draw_images

from tf_taintradar import TaintRadarModel, baselines, evaluate, evaluation
from tf_taintradar.attacks import ScatteredPatch
from tf_taintradar.errors import CalibrationError
from tf_taintradar.evaluation import DEFENCES, Attacked, AttackSpec, make_defence
from tf_taintradar.evaluation.experiment import Experiment
from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.evaluation.record import BenignRow

QUICK = {
    "whole": AttackSpec(1, {"diameter": 1.0, "steps": 12, "place": "bottom_right"}),
    "feeble": AttackSpec(None, {"diameter": 0.1, "steps": 1}),
}
SETTINGS = {"attacks": QUICK, "target_fprs": [0.2, 0.1], "n_attacked": 6, "verbose": 0}


class Brightness:
    """A defence of one's own: flags what is bright."""

    def __repr__(self):
        return "Brightness()"

    def score(self, images):
        return images.astype(float).mean(axis=(1, 2, 3))


class Interrupted(Brightness):
    """Stops at the second set of images."""

    def __init__(self, after):
        self.after = after

    def score(self, images):
        self.after -= 1
        if self.after < 0:
            raise KeyboardInterrupt
        return super().score(images)


@pytest.fixture
def radar():
    return TaintRadarModel(build_small_classifier())


@pytest.fixture
def many():
    return draw_images(60)


def numbers(found):
    return [dataclasses.astuple(row) for row in found.rows]


def test_rates_are_those_of_the_detector(radar, many):
    found = evaluate(radar, many, **SETTINGS, defences=["taintradar"])
    assert found.attacks == ["whole", "feeble"]
    assert found.defences == ["taintradar"]
    row = found.row("whole", "taintradar", 0.1)
    benign = next(one for one in found.benign if one.target_fpr == 0.1)
    scores = found.attack_scores["whole"]["taintradar"]
    assert row.succeeded.n == 6
    assert row.succeeded.hits == row.flagged.n == len(scores)
    assert row.flagged.hits == (scores > benign.threshold).sum()
    assert row.robust.n == 6
    assert row.robust.hits == 6 - row.succeeded.hits + row.flagged.hits
    assert benign.flagged == Rate.of(found.benign_scores["taintradar"] > benign.threshold)
    assert benign.cost > 0
    assert row.recovered.n == row.flagged.hits
    assert radar.threshold is None  # as it was


def test_attacks_are_mounted_on_what_is_not_calibrated_on(radar, many):
    class Remembers(Brightness):
        seen = []

        def score(self, images):
            self.seen.append(images)
            return super().score(images)

    evaluate(radar, many, **{**SETTINGS, "attacks": {}}, defences={"own": Remembers()})
    benign, calibration = Remembers.seen[:2]
    assert len(benign) == 30
    assert len(calibration) == 23  # and 7 to fit rivals on
    whole = {image.tobytes() for image in (*benign, *calibration)}
    assert len(whole) == 53


def test_only_images_that_are_right_are_attacked(radar, many):
    right = radar.classifier.predict(many.astype(np.float32), verbose=0).argmax(axis=1)
    wrong = (right + 1) % 5
    labels = np.where(np.arange(60) % 2, right, wrong)
    found = evaluate(radar, many, labels, **SETTINGS, defences=["taintradar"])
    assert found.setting["classifier_right"] == 0.5
    with pytest.raises(ValueError, match="such that the classifier gets some right"):
        evaluate(radar, many, wrong, **SETTINGS, defences=["taintradar"])


def test_ready_attacks_and_own_defences(radar, many):
    label = radar.classifier.predict(many.astype(np.float32), verbose=0).argmax(axis=1)
    index = np.array([3, 4, 5])
    bright = np.full_like(many[index], 255)
    bright_label = int(radar.classifier.predict(bright[:1] * 1.0, verbose=0).argmax())
    ready = {
        "white": Attacked(bright, index, bright_label),
        "any": Attacked(bright, index, None),
        "as before": Attacked(many[index], index, None),
    }
    found = evaluate(
        radar, many, attacks=ready, defences={"bright": Brightness()}, target_fprs=[0.1], verbose=0
    )
    assert found.row("white", "bright", 0.1).succeeded == Rate(3, 3)
    assert found.row("white", "bright", 0.1).flagged == Rate(3, 3)
    assert found.row("white", "bright", 0.1).auroc == 1
    assert found.row("white", "bright", 0.1).recovered is None
    changed = int((label[index] != bright_label).sum())
    assert found.row("any", "bright", 0.1).succeeded == Rate(changed, 3)
    assert found.row("as before", "bright", 0.1).succeeded == Rate(0, 3)
    assert found.row("as before", "bright", 0.1).robust == Rate(3, 3)
    assert found.row("as before", "bright", 0.1).auroc is None


def test_all_defences_can_be_asked(radar):
    names = list(DEFENCES)
    found = evaluate(radar, draw_images(160), **SETTINGS, defences=names)
    assert found.defences == names
    cleans = {row.defence for row in found.rows if row.recovered is not None}
    assert cleans == set(names) - {"sentinet", "jujutsu"}
    for row in found.benign:
        assert np.isfinite(row.threshold)
        assert row.flagged.n == 80


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_an_interrupted_run_goes_on_and_ends_the_same(radar, many, tmp_path, after):
    whole = evaluate(radar, many, **SETTINGS, defences={"own": Brightness()})
    with pytest.raises(KeyboardInterrupt):
        evaluate(
            radar, many, **SETTINGS, defences={"own": Interrupted(after)}, folder=tmp_path / "run"
        )
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.npz")}
    assert kept
    resumed = evaluate(
        radar, many, **SETTINGS, defences={"own": Brightness()}, folder=tmp_path / "run"
    )
    assert numbers(resumed) == numbers(whole)
    for path, when in kept.items():
        assert path.stat().st_mtime_ns == when
    idle = {"own": Interrupted(0)}  # it is asked nothing any more
    again = evaluate(radar, many, **SETTINGS, defences=idle, folder=tmp_path / "run")
    assert again.to_markdown() == resumed.to_markdown()


def test_other_images_need_another_folder(radar, many, tmp_path):
    common = {**SETTINGS, "defences": {"own": Brightness()}, "folder": tmp_path / "run"}
    evaluate(radar, many, **common)
    with pytest.raises(ValueError, match=r"another setting \(.*images"):
        evaluate(radar, many[::-1], **common)
    with pytest.raises(ValueError, match="was made with other settings"):
        evaluate(radar, many, **{**common, "attacks": {"whole": AttackSpec(1, {"steps": 1})}})


def test_reports(radar, many, tmp_path):
    found = evaluate(radar, many, **SETTINGS, defences=["taintradar", "patchcleanser"])
    markdown, document, page = found.write(tmp_path / "new")
    text = markdown.read_text()
    assert "| attack | taintradar | patchcleanser |" in text
    assert str(found.row("whole", "taintradar", 0.2).flagged) in text
    assert "*" in str(found.row("whole", "taintradar", 0.2).flagged)  # few images are marked
    read = json.loads(document.read_text())
    assert len(read["rows"]) == 2 * 2 * 2
    assert read["rows"][0]["succeeded"].keys() == {"hits", "n", "interval"}
    np.testing.assert_allclose(
        read["benign_scores"]["taintradar"], found.benign_scores["taintradar"]
    )
    content = page.read_text()
    html.parser.HTMLParser().feed(content)
    assert content.count("data:image/png;base64,") == 2  # ROC curves and examples of one attack
    assert "http" not in content  # it needs no other file
    assert "src='data:" in content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"defences": ["sentry"]}, "`defences` must be among taintradar.*Received: 'sentry'"),
        ({"defences": []}, "`defences` must be one defence or more"),
        ({"attacks": ["gloves"]}, "`attacks` must be among universal-corner-40"),
        ({"target_fprs": [1.5]}, "`target_fpr` must be a fraction"),
        ({"target_fprs": []}, "`target_fprs` must be a list of one rate or more"),
        ({"target_class": 5}, "`target_class` must be an integer from 0 to 4"),
        ({"target_fprs": 0.1}, "`target_fprs` must be a list of one rate or more"),
        ({"labels": [1, 2]}, r"`labels` must be of shape \(60,\)"),
        ({"labels": [5] * 60}, r"`labels` must be integers from 0 to 4. Received: \[5, 5"),
        ({"labels": ["cat"] * 60}, r"`labels` must be integers from 0 to 4. Received: \['cat'"),
        ({"attacks": "feeble"}, "`attacks` must be among.* Received: 'feeble'"),
        ({"defences": "nothing"}, "`defences` must be among.* Received: 'nothing'"),
        ({"n_attacked": 0}, "`n_attacked` must be an integer of at least 1"),
    ],
)
def test_arguments_are_checked(radar, many, change, message):
    with pytest.raises(ValueError, match=message):
        evaluate(radar, many, **{**SETTINGS, "defences": ["taintradar"], **change})


def test_too_few_images_are_told_before_the_long_work(radar, many):
    with pytest.raises(CalibrationError, match="At least 99 are needed"):
        evaluate(radar, many, attacks=QUICK, defences=["taintradar"], target_fprs=[0.01])
    with pytest.raises(ValueError, match="at least 8"):
        evaluate(radar, many[:5], **SETTINGS)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (lambda n: np.ones(n - 1), ValueError, r"for each of 30 images.*float64 of shape \(29,\)"),
        (lambda n: ["high"] * n, ValueError, "one score, a number, for each of 30 images"),
        (lambda n: np.full(n, np.nan), CalibrationError, "for 23 of 23 images"),
    ],
)
def test_a_defence_that_answers_nonsense_is_told(radar, many, answer, error, message):
    class Nonsense(Brightness):
        def score(self, images):
            return answer(len(images))

    with pytest.raises(error, match=message):
        evaluate(radar, many, **SETTINGS, defences={"own": Nonsense()})


@pytest.mark.parametrize("blinded", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_flagged(radar, many, blinded):
    """Kind: NaN fails open."""

    class Blinded(Brightness):
        def score(self, images):
            is_white = (images == 255).all(axis=(1, 2, 3))
            return np.where(is_white, blinded, super().score(images))

    labels = radar.predict_scores(many)["label"]
    attacked = many[:4].copy()
    attacked[:3] = 255
    white = radar.predict_scores(attacked)["label"][0]
    attacks = {"white": Attacked(attacked, np.flatnonzero(labels != white)[:4], int(white))}
    found = evaluate(radar, many, **{**SETTINGS, "attacks": attacks}, defences={"own": Blinded()})
    row = found.row("white", "own", 0.1)
    assert row.flagged.hits == row.flagged.n == row.succeeded.hits == 3
    assert row.auroc == 1
    (listed,) = json.loads(found.to_json(), parse_constant=pytest.fail)["attack_scores"].values()
    assert listed["own"] == [None] * 3
    assert "white" in found.to_html()


def test_the_paper_variant_is_made_of_the_detectors_settings(radar):
    made = make_defence("taintradar-paper", radar)
    assert made.variant == "paper"
    assert made.classifier is radar.classifier
    assert isinstance(make_defence("sentinet", radar, 40), baselines.SentiNet)
    assert make_defence("sentinet", radar, 40).n_overlays == 20


def test_the_classifier_is_opened_by_the_detector_alone(many):
    classifier = build_small_classifier()
    radar = TaintRadarModel(classifier, feature_layer=classifier.layers[2].name)
    assert Experiment(radar, many, None, seed=0, batch_size=16).opened is radar.opened


def test_the_names_of_earlier_versions(radar, many):
    assert (evaluation.Threat, evaluation.THREATS) == (AttackSpec, evaluation.ATTACKS)
    arguments = (radar.opened, many[:2].astype(np.float32), 1, 0, 0)
    ran, mounted = AttackSpec(1, {"steps": 1}), evaluation.Threat(1, {"steps": 1})
    np.testing.assert_array_equal(
        ran.run(*arguments)[0].images, mounted.mount(*arguments)[0].images
    )


def test_one_patch_for_several_images(radar, many):
    spec = AttackSpec(4, {"diameter": 0.6, "steps": 2})
    results = spec.run(radar.opened, many[:6].astype(np.float32), 1, seed=0, verbose=0)
    assert [len(result.patches) for result in results] == [1, 1]
    assert [len(result.images) for result in results] == [4, 2]
    with pytest.raises(ValueError, match="`images_per_patch`"):
        AttackSpec(0)


# Kind: errors that do not help


@pytest.mark.parametrize(
    ("images", "index", "target", "message"),
    [
        (lambda x: x[:0], [], 1, r"`attacks\['x'\]\.images`.*empty: pass at least one"),
        (lambda x: [], [], 1, r"`attacks\['x'\]\.images`.*empty"),
        (lambda x: x[:2, :20], [0, 1], 1, r"20x16, the classifier takes 24x16"),
        (lambda x: x[0], [0], 1, r"attacks\['x'\]\.images\[None\]"),
        (lambda x: x[:2] / 255, [0, 1], 1, r"multiply by 255"),
        (lambda x: x[:2], [0], 1, r"\.index` must be \(2,\) integers.*shape \(1,\)"),
        (lambda x: x[:2], [[0, 1]], 1, r"\.index` must be \(2,\) integers"),
        (lambda x: x[:2], [True, False], 1, r"\.index` must be \(2,\) integers.*dtype bool"),
        (lambda x: x[:2], [0.0, 1.0], 1, r"\.index` must be \(2,\) integers.*float64"),
        (lambda x: x[:2], [0, 60], 1, r"\.index` must be from 0 to 59.*Received: \[60\]"),
        (lambda x: x[:2], [-1, 0], 1, r"\.index` must be from 0 to 59.*Received: \[-1\]"),
        (lambda x: x[:2], [0, 1], 5, r"\.target` must be an integer from 0 to 4, or.*Received: 5"),
        (lambda x: x[:2], [0, 1], [1, 2, 3], r"\.target` must be .* or one for each attacked"),
    ],
)
def test_a_ready_attack_that_does_not_fit_is_refused(radar, many, images, index, target, message):
    attacks = {"x": Attacked(images(many), np.array(index), target)}
    with pytest.raises(ValueError, match=message):
        evaluate(radar, many, **{**SETTINGS, "attacks": attacks}, defences={"own": Brightness()})


def test_an_attack_is_a_specification_or_attacked_images(radar, many):
    with pytest.raises(ValueError, match=r"`attacks\['x'\]` must be an AttackSpec.*'ndarray'"):
        evaluate(radar, many, **{**SETTINGS, "attacks": {"x": many}})


def test_a_ready_attack_may_hold_lists_and_floats(radar, many):
    given = {**SETTINGS, "defences": {"own": Brightness()}}
    exact = {"x": Attacked(many[:3], np.array([5, 6, 7]), None)}
    loose = {"x": Attacked(list(many[:3] + 0.2 * (many[:3] < 255)), [5, 6, 7], None)}
    expected, found = (evaluate(radar, many, **{**given, "attacks": a}) for a in (exact, loose))
    assert [row.succeeded for row in found.rows] == [row.succeeded for row in expected.rows]
    np.testing.assert_array_equal(
        found.attack_scores["x"]["own"], expected.attack_scores["x"]["own"]
    )


# Kinds of attacks


def test_labels_are_drawn_and_never_the_image_s_own():
    spec = AttackSpec(1, {"steps": 1}, draws_labels=True)
    answers = np.repeat(np.arange(5), 40)
    drawn = spec.targets(3, answers, 5, seed=0)
    assert (drawn != answers).all()
    assert set(np.unique(drawn)) == set(range(5))
    np.testing.assert_array_equal(drawn, spec.targets(3, answers, 5, seed=0))
    assert (drawn != spec.targets(3, answers, 5, seed=1)).any()
    assert AttackSpec(1).targets(3, answers, 5, seed=0) == 3
    with pytest.raises(ValueError, match="`images_per_patch` must be 1, with `draws_labels`"):
        AttackSpec(None, draws_labels=True)


def test_drawn_labels_and_many_pieces_are_judged(radar, many):
    drawn = AttackSpec(1, {"diameter": 1.0, "steps": 12}, draws_labels=True)
    pieces = {"n_pieces": 2, "area": 0.1, "steps": 2}
    attacks = {"drawn": drawn, "pieces": AttackSpec(1, pieces, attack=ScatteredPatch)}
    found = evaluate(
        radar,
        many,
        attacks=attacks,
        defences=["taintradar"],
        target_fprs=[0.2],
        n_attacked=6,
        verbose=0,
    )
    by_attack = {row.attack: row for row in found.rows}
    assert by_attack["drawn"].succeeded.n == 6
    assert by_attack["drawn"].succeeded.value > 0.5
    described = found.setting["attacks"]
    assert "labels drawn at random" in described["drawn"]
    assert described["pieces"].startswith("ScatteredPatch, one patch an image")


def test_ready_attacks_with_a_label_for_each_image(radar, many):
    index = np.arange(8)
    labels = radar.classifier.predict(many[:8], verbose=0).argmax(-1)
    wanted = np.where(np.arange(8) % 2, labels, (labels + 1) % 5)
    found = evaluate(
        radar,
        many,
        attacks={"ready": Attacked(many[:8], index, wanted)},
        defences=["taintradar"],
        target_fprs=[0.2],
        verbose=0,
    )
    assert found.rows[0].succeeded == Rate(4, 8)


def test_on_faces_plain_frames_are_a_benign_row():
    radar = TaintRadarModel(build_small_classifier(), variant="bands")
    given = {"attacks": ["partial-30"], "n_attacked": 3, "target_fprs": [0.2, 0.1], "verbose": 0}
    found = evaluate(radar, draw_images(60), defences=["taintradar-bands", "taintradar"], **given)
    assert [(row.defence, row.target_fpr) for row in found.plain] == [
        (row.defence, row.target_fpr) for row in found.benign
    ]
    for row in found.plain:
        scores = found.plain_scores[row.defence]
        assert row.flagged == Rate.of(scores > row.threshold)
        assert len(scores) == 30
    assert "**Plain frames: people who simply wear glasses**" in found.to_markdown()
    assert len(json.loads(found.to_json())["plain"]) == 4
    scenes = evaluate(radar, draw_images(60), defences=["taintradar"], faces=False, **given)
    assert scenes.plain == []
    assert "Plain frames" not in scenes.to_markdown()


def test_a_defence_that_troubles_wearers_is_told_so():
    row = BenignRow("taintradar", 0.1, 1.0, Rate(20, 50), 2.0)
    assert row.is_beyond
    assert not dataclasses.replace(row, flagged=Rate(8, 50)).is_beyond
