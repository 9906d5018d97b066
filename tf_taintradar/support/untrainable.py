"""A Keras model that is not trained: the methods of training say what to call instead."""

from typing import Any, NoReturn

import keras

_TRAIN = (
    "A detector is not trained. Train its classifier, `radar.classifier.{}(...)`, then wrap it "
    "anew and choose the threshold with `calibrate(benign_images)`."
)
_MEASURE = (
    "A detector has no loss or metrics. `tf_taintradar.evaluate(radar, images, labels)` measures "
    "it against attacks, `radar.classifier.{}(...)` measures the classifier."
)


class Untrainable(keras.Model):
    """Base of models that have `predict`, but nothing to fit."""

    def compile(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not supported: raises NotImplementedError, which says what to call instead."""
        raise NotImplementedError(_TRAIN.format("compile"))

    def fit(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not supported: raises NotImplementedError, which says what to call instead."""
        raise NotImplementedError(_TRAIN.format("fit"))

    def train_on_batch(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not supported: raises NotImplementedError, which says what to call instead."""
        raise NotImplementedError(_TRAIN.format("train_on_batch"))

    def evaluate(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not supported: raises NotImplementedError, which says what to call instead."""
        raise NotImplementedError(_MEASURE.format("evaluate"))

    def test_on_batch(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not supported: raises NotImplementedError, which says what to call instead."""
        raise NotImplementedError(_MEASURE.format("test_on_batch"))
