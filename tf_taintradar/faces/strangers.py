"""People who are none of the subjects: what a classifier and its detector say about them."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.images.sources import ImageSource
from tf_taintradar.model import TaintRadarModel

_KNOWN = 0.95  # of the subjects' own photographs, which the confidence lets pass


class Strangers(NamedTuple):
    """Rates on photographs of strangers.

    Attributes:
        confidence: the probability that 95 % of the subjects' held-out photographs reach.
        taken: rate of strangers whose name has this probability: those taken for a subject.
        flagged: rate of strangers that the detector flags.
        passed: rate of strangers that are taken for a subject and not flagged.
    """

    confidence: float
    taken: Rate
    flagged: Rate
    passed: Rate


def meet_strangers(
    radar: TaintRadarModel, source: ImageSource, known: npt.NDArray[Any], **settings: Any
) -> Strangers:
    """Measures how many strangers are taken for a subject, and how many are flagged.

    A detector looks for what was put on a face. It need not flag strangers: an application that
    requires a minimum confidence refuses them anyway.

    Args:
        radar: a detector with a threshold.
        source: photographs of people who are not among the subjects, in the forms of `predict`.
        known: (m, n) the classifier's probabilities for photographs of its subjects.
        settings: `batch_size` and `verbose` of `predict`.
    """
    found = radar.predict(source, **settings)
    confidence = float(np.quantile(known.max(axis=1), 1 - _KNOWN))
    is_taken, is_flagged = found["predictions"].max(axis=1) >= confidence, found["is_adversarial"]
    passed = is_taken & ~is_flagged
    return Strangers(confidence, Rate.of(is_taken), Rate.of(is_flagged), Rate.of(passed))
