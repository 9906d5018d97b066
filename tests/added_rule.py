"""A rule as a user writes one; `rules.register_rule(Blank)` adds it."""

import dataclasses

import tensorflow as tf

from tf_taintradar import rules
from tf_taintradar.detection import Detection
from tf_taintradar.detection.regions import fill_region


@dataclasses.dataclass(frozen=True)
class Blank(rules.Rule):
    name = "blank"
    purpose = "paints the critical region in one color"

    color: float = 127.5

    def detect(self, classifier, prediction, maps, *, slope=None):
        region = prediction.critical_region
        cleaned = fill_region(prediction.images, region, tf.constant(self.color))
        logits = classifier.logits(cleaned)
        return Detection.of(
            prediction, tainted_region=region, cleaned_images=cleaned, cleaned_logits=logits
        )
