"""The forms in which people hand over a classifier and its preprocessor."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import tensorflow as tf

UnopenedClassifier: TypeAlias = (
    keras.Model | keras.layers.Layer | Sequence[keras.layers.Layer] | Callable[[tf.Tensor], Any]
)
"""A classifier as Keras or TensorFlow holds it.

A Functional or Sequential model, a subclassed model or another layer; a pair `(trunk, head)` of
built models; a function of images (b, H, W, c); or what `tf.saved_model.load` returns, whose type
has no public name. See `open_classifier` and `close_classifier` for what each of them can be used
for.
"""

PreprocessorSpec: TypeAlias = str | keras.layers.Layer
"""A preprocessor, as `make_preprocessor` takes it: the name of one, or a Keras layer or model."""
