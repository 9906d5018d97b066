"""Attacks that know the whole detector: section VII of the paper."""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tf_taintradar.attacks.descent import Adam
from tf_taintradar.attacks.goal import StepInputs
from tf_taintradar.attacks.patch import AdversarialPatch
from tf_taintradar.detection.critical import predict_with_critical_region
from tf_taintradar.detection.pipeline import detect
from tf_taintradar.errors import NO_THRESHOLD, NotCalibratedError
from tf_taintradar.model import TaintRadarModel
from tf_taintradar.support.checks import check_integer, check_not_negative, require

_MARGIN = 0.5  # nats of the score below its threshold, for what rounding to pixels brings back


class AdaptivePatch(AdversarialPatch):
    """A patch by an attacker who knows the detector, its settings and its threshold.

    Gradients pass through the whole of `detect`: in the backward pass, sigmoids replace its
    decisions and get steeper in the course of the attack (backward pass differentiable
    approximation). By default every step minimizes the classifier's loss on the target, plus
    `weight` times the detector's response:

    - how far the score lies above its threshold;
    - or, if no gradient passes the score (variant "paper"), the cross-entropy of the target once
      the tainted region is filled, so that the label keeps its rank.

    The attack succeeds on an image if the classifier predicts the target and the detector does not
    flag it: `result.success & ~radar.predict(result.images)["is_adversarial"]`.

    Args:
        radar: a detector with a threshold.
        weight: factor of the detector's response in the loss, >= 0.
        growth: number of steps after which the sigmoids' slope, 1 at first, grows by 1.
        regions: "soft": gradients pass through the choice of the regions as well; "fixed": each
            step takes the regions as they are, which is often the stronger attack.
        steps: largest number of steps of Adam.
        learning_rate: learning rate of Adam, in pixel values, 0..255.
        settings: other arguments of `AdversarialPatch`. With a `stop_probability`, a patch is
            finished when the target has this probability and the detector is evaded.

    Raises:
        NotCalibratedError: the detector has no threshold.
        ValueError: another argument is out of range.

    Source: section VII-C of the paper, with its slope, steps and learning rate; Athalye et al.,
    "Obfuscated Gradients Give a False Sense of Security", ICML 2018.
    """

    def __init__(
        self,
        radar: TaintRadarModel,
        *,
        weight: float = 1.0,
        growth: int = 100,
        regions: str = "soft",
        steps: int = 2000,
        learning_rate: float = 1.0,
        **settings: Any,
    ) -> None:
        if radar.threshold is None:
            raise NotCalibratedError(NO_THRESHOLD)
        check_not_negative("weight", weight)
        self.radar = radar
        self._threshold = radar.threshold
        self.weight = weight
        self.growth = check_integer("growth", growth, 1)
        require(regions in ("soft", "fixed"), "regions", regions, '"soft" or "fixed"')
        self.regions = regions
        super().__init__(
            radar.opened, optimizer=Adam(), steps=steps, learning_rate=learning_rate, **settings
        )

    def objective(self, inputs: StepInputs) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss on the target plus the detector's response, and the progress of the attack."""
        found = detect(
            self._classifier,
            inputs.images,
            variant=self.radar.rule,
            temperature=self.radar.temperature,
            map_threshold=self.radar.map_threshold,
            slope=self.slope(inputs.step),
        )
        loss, wanted = self.target_loss(found.prediction.logits, inputs.labels)
        nat = self.radar.rule.nat
        if nat is None:
            seen, _ = self.target_loss(found.cleaned_logits, inputs.labels)
            is_evaded = found.score <= self._threshold
        else:
            nats_above = (found.score - self._threshold) / nat
            seen = tf.nn.relu(nats_above + 2 * _MARGIN)
            is_evaded = nats_above <= -_MARGIN
        return loss + self.weight * seen, wanted * tf.cast(is_evaded, tf.float32)

    def slope(self, step: tf.Tensor) -> tf.Tensor | None:
        """The slope of the sigmoids at a step: () float32, 1, 2, ...; None for fixed regions."""
        if self.regions == "fixed":
            return None
        return tf.cast(1 + step // self.growth, tf.float32)


class MisleadingPatch(AdaptivePatch):
    """A patch that draws the detector's critical region away from itself.

    Besides the loss on the target, it minimizes `weight` times

    - aim "away": the overlap of critical region and patch (intersection over union);
    - aim "small": the share of the image that is critical;
    - a region as aim: one minus the critical region's overlap with it.

    Args:
        radar: a detector with a threshold.
        aim: "away", "small", or a region (H, W), nonzero where the detector should look instead.
        settings: other arguments of `AdaptivePatch`; `weight` is the paper's lambda.

    Raises:
        NotCalibratedError: the detector has no threshold.
        ValueError: `aim` is none of these, or another argument is out of range.

    Source: section VII-A of the paper, region misleading and its two variants.
    """

    def __init__(
        self, radar: TaintRadarModel, *, aim: str | npt.ArrayLike = "away", **settings: Any
    ) -> None:
        super().__init__(radar, **settings)
        self.aim = aim
        self._region = None
        if not isinstance(aim, str):
            region = np.asarray(aim)
            fits = region.shape == self.image_shape[:2] and bool(region.any())
            expected = f"a region of shape {self.image_shape[:2]} that is not empty"
            require(fits, "aim", region.shape, expected)
            self._region = tf.constant(region != 0, tf.float32)[tf.newaxis]
        else:
            require(aim in ("away", "small"), "aim", aim, '"away", "small" or a region (H, W)')

    def objective(self, inputs: StepInputs) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss on the target plus that of the critical region, and the target's probability."""
        prediction, _ = predict_with_critical_region(
            self._classifier,
            inputs.images,
            temperature=self.radar.temperature,
            map_threshold=self.radar.map_threshold,
            slope=self.slope(inputs.step),
        )
        loss, wanted = self.target_loss(prediction.logits, inputs.labels)
        return loss + self.weight * self._seen(prediction.critical_region, inputs), wanted

    def _seen(self, region: tf.Tensor, inputs: StepInputs) -> tf.Tensor:
        """The loss (b,) float32 in [0, 1] of critical regions (b, H, W)."""
        if self._region is not None:
            return 1 - iou(region, self._region)
        if self.aim == "small":
            return tf.reduce_mean(region, axis=(1, 2))
        blank, ones = tf.zeros_like(inputs.images[..., :1]), tf.ones((1, *self.patch_shape[:2], 1))
        return iou(region, self._pasting.paste(blank, ones, inputs.pose)[..., 0])


def iou(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Intersection over union (b,) of regions (b, H, W) of zeros and ones, float32."""
    common = tf.reduce_sum(one * other, axis=(1, 2))
    either = tf.reduce_sum(one + other - one * other, axis=(1, 2))
    return tf.math.divide_no_nan(common, either)
