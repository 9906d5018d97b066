"""What all rivals have in common."""

import numpy as np
import pytest

from tf_taintradar import TaintRadarModel, baselines
from tf_taintradar.errors import ImageError, NotFittedError

FITTED = [baselines.SentiNet, baselines.Jujutsu]
MADE = [baselines.LocalGradientsSmoothing, baselines.PatchCleanser, baselines.DigitalWatermarking]
FEW = {baselines.SentiNet: {"n_overlays": 4}, baselines.Jujutsu: {"n_hosts": 3}}


def make(defence, classifier, benign):
    return defence(classifier, **FEW.get(defence, {})).fit(benign)


@pytest.mark.parametrize("defence", [*MADE, *FITTED])
def test_no_score_depends_on_the_batch(small_classifier, images, defence):
    benign = np.concatenate([images, images[:, ::-1]])
    rival = make(defence, small_classifier, benign)
    together = rival.answer(images, batch_size=32)
    np.testing.assert_array_equal(
        together["label"], small_classifier(images * 1.0).numpy().argmax(1)
    )
    assert together["score"].shape == (7,)
    assert np.isfinite(together["score"]).all()
    for size in (1, 3):
        apart = rival.answer(images, batch_size=size)
        for name, values in together.items():
            np.testing.assert_allclose(apart[name], values, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("defence", [*MADE, *FITTED])
def test_it_learns_nothing_from_the_images_it_judges(small_classifier, images, defence):
    benign = np.concatenate([images, images[:, ::-1]])
    rival = make(defence, small_classifier, benign)
    first = rival.score(images)
    rival.score(255 - images)
    np.testing.assert_array_equal(rival.score(images), first)


@pytest.mark.parametrize("defence", FITTED)
def test_some_need_benign_images_first(small_classifier, images, defence):
    with pytest.raises(NotFittedError, match=r"call `fit\(benign_images\)` before `score`"):
        defence(small_classifier).score(images)
    with pytest.raises(ValueError, match="`images` must be at least"):
        defence(small_classifier).fit(images[:2])


@pytest.mark.parametrize("defence", [*MADE, *FITTED])
def test_an_opened_classifier_is_defended_as_the_model_is(small_classifier, images, defence):
    benign = np.concatenate([images, images[:, ::-1]])
    radar = TaintRadarModel(small_classifier)
    expected = make(defence, small_classifier, benign).score(images)
    np.testing.assert_array_equal(make(defence, radar.opened, benign).score(images), expected)
    with pytest.raises(ValueError, match="`preprocessor` must be left out"):
        defence(radar.opened, preprocessor="unit")


@pytest.mark.parametrize("defence", [*MADE, *FITTED])
def test_images_are_checked(small_classifier, images, defence):
    rival = make(defence, small_classifier, np.concatenate([images, images[:, ::-1]]))
    with pytest.raises(ImageError, match="looks like pixels from 0 to 1"):
        rival.score(images / 255)


@pytest.mark.parametrize(
    ("defence", "argument", "value"),
    [
        (baselines.LocalGradientsSmoothing, "block", 0),
        (baselines.LocalGradientsSmoothing, "overlap", 15),
        (baselines.LocalGradientsSmoothing, "smoothing", -1),
        (baselines.PatchCleanser, "patch_size", 1.0),
        (baselines.PatchCleanser, "n_masks", 0),
        (baselines.PatchCleanser, "color", 256),
        (baselines.DigitalWatermarking, "threshold", 0.0),
        (baselines.DigitalWatermarking, "cluster", 0),
        (baselines.DigitalWatermarking, "density", 1.5),
        (baselines.DigitalWatermarking, "margin", -1),
        (baselines.DigitalWatermarking, "radius", 0),
        (baselines.SentiNet, "n_overlays", 0),
        (baselines.SentiNet, "n_proposals", -1),
        (baselines.SentiNet, "map_threshold", 0.0),
        (baselines.Jujutsu, "window", 1.0),
        (baselines.Jujutsu, "n_hosts", 0),
        (baselines.Jujutsu, "n_samples", 0),
    ],
)
def test_arguments_are_checked(small_classifier, defence, argument, value):
    with pytest.raises(ValueError, match=f"`{argument}` must be"):
        defence(small_classifier, **{argument: value})
