"""What a rule finds on images: the record of steps 1 to 8 of Figure 2.

b images (H, W, c), n labels, feature map (h, w, channels).
"""

from typing import Any, NamedTuple

import tensorflow as tf

from tf_taintradar.classifier.graph import finite_rows
from tf_taintradar.detection.critical import Prediction
from tf_taintradar.detection.ranks import rank_of
from tf_taintradar.detection.regions import fill_region, is_inside
from tf_taintradar.detection.windows import average_outside


class Detection(NamedTuple):
    """What the detector finds on each image; the threshold is not part of it.

    Attributes:
        prediction: steps 1 and 2, the prediction and what it rests on.
        evidence: steps 3 to 5, what leads to the tainted region: a named tuple of the rule's own,
            each field a tensor (b, ...), or an empty tuple.
        tainted_region: step 6: (b, H, W) bool, the region that is removed.
        cleaned_images: step 7: (b, H, W, c) float32, the images with the tainted region filled.
        cleaned_logits: step 8: (b, n) float32, the logits without the tainted region.
        recovered_label: (b,) int32, the label predicted without it.
        rank_shift: (b,) int32, >= 0: how many labels then overtake the predicted one.
        score: (b,) float32, compared with the threshold; larger is more suspicious. NaN if the
            classifier's answers are not finite.
    """

    prediction: Prediction
    evidence: Any
    tainted_region: tf.Tensor
    cleaned_images: tf.Tensor
    cleaned_logits: tf.Tensor
    recovered_label: tf.Tensor
    rank_shift: tf.Tensor
    score: tf.Tensor

    @classmethod
    def of(
        cls,
        prediction: Prediction,
        *,
        tainted_region: tf.Tensor,
        cleaned_images: tf.Tensor,
        cleaned_logits: tf.Tensor,
        score: tf.Tensor | None = None,
        evidence: Any = (),
    ) -> "Detection":
        """The record of what a rule removes, and of what the classifier answers without it.

        Args:
            prediction: steps 1 and 2.
            tainted_region: (b, H, W), see `regions`.
            cleaned_images: (b, H, W, c) float32, raw pixels 0..255.
            cleaned_logits: (b, n) float32.
            score: (b,) float32; by default the rank shift, the paper's score.
            evidence: see `Detection`.
        """
        rank_shift = rank_of(cleaned_logits, prediction.label)
        found = tf.cast(rank_shift, tf.float32) if score is None else score
        basis = [prediction.logits, prediction.critical_map, cleaned_logits, found, *evidence]
        return cls(
            prediction=prediction,
            evidence=evidence,
            tainted_region=is_inside(tainted_region),
            cleaned_images=cleaned_images,
            cleaned_logits=cleaned_logits,
            recovered_label=tf.argmax(cleaned_logits, axis=-1, output_type=tf.int32),
            rank_shift=rank_shift,
            score=tf.where(finite_rows(basis), found, float("nan")),
        )

    @classmethod
    def without(
        cls,
        prediction: Prediction,
        region: tf.Tensor,
        logits: tf.Tensor,
        evidence: Any,
        score: tf.Tensor,
    ) -> "Detection":
        """The record of a region that is filled with the mean colour of the rest.

        Args:
            prediction: steps 1 and 2.
            region: (b, H, W) bool, the tainted region.
            logits: (b, n) float32, the logits without it.
            evidence: what led to it.
            score: (b,) float32.
        """
        images = prediction.images
        return cls.of(
            prediction,
            evidence=evidence,
            tainted_region=region,
            cleaned_images=fill_region(images, region, average_outside(images, region)),
            cleaned_logits=logits,
            score=score,
        )

    def fields(self) -> dict[str, tf.Tensor]:
        """All tensors by name: those of the prediction, of the evidence, and the record's own."""
        evidence = self.evidence._asdict() if self.evidence else {}
        own = {k: v for k, v in self._asdict().items() if k not in ("prediction", "evidence")}
        return {**self.prediction._asdict(), **evidence, **own}
