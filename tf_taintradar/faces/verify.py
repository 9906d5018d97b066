"""Verification: is this the person on the badge? A classifier of two labels."""

import keras
import numpy as np
import tensorflow as tf

from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.preprocessing import make_preprocessor
from tf_taintradar.faces.heads import embedding_of, unit
from tf_taintradar.images.sources import ImageSource, iterate_batches
from tf_taintradar.support.checks import check_positive, require


def verify(
    network: keras.Model,
    badge: ImageSource,
    threshold: float,
    *,
    scale: float = 30.0,
    preprocessor: PreprocessorSpec | None = "vggface",
    kept: str | None = None,
) -> keras.Model:
    """A classifier that accepts one person, known from one photograph or more.

    Label 0 is the person, label 1 anyone else: the logits are `scale * (cosine - threshold)` and 0.
    All rules, attacks and certificates therefore work with it as with any other classifier. One
    person's photographs are seldom enough for a calibration; the detectors of many badges can share
    a threshold, see `TaintRadarModel.calibrate_across`:

        def wrap(badge):
            model = faces.verify(network, badge, 0.45, preprocessor="tf")
            return TaintRadarModel(model, preprocessor="tf", variant="bands")

        door = wrap("badges/ann.png")
        door.calibrate_across((wrap(badge), photographs) for badge, photographs in others)

    Args:
        network: a network that embeds faces, or names other people; see `transfer`.
        badge: aligned photographs of the person, in the forms of `TaintRadarModel.predict`: a file,
            a list or folder of files, an array (n, H, W, 3). Several are averaged.
        threshold: the smallest cosine, in (-1, 1), at which a photograph counts as showing the
            person. It depends on the network: choose it on pairs of photographs of the same and of
            different people.
        scale: factor of the cosines. It changes probabilities, not decisions.
        preprocessor: raw pixels -> the network's input, as `TaintRadarModel` takes it.
        kept: name of the last layer that is kept, see `teach`.

    Returns:
        Preprocessed images (b, H, W, 3) -> softmax probabilities (b, 2).

    Raises:
        ImageError: the badge cannot be read.
        UnsupportedClassifierError: the network has no layer `kept`.
        ValueError: `threshold` or `scale` is out of range.
    """
    require(-1 < threshold < 1, "threshold", threshold, "a cosine in (-1, 1)")
    check_positive("scale", scale)
    embedding = embedding_of(network, kept)
    shape = embedding.input_shape[1:]
    preprocess = make_preprocessor(preprocessor, shape)
    seen = [
        embedding.predict_on_batch(np.asarray(preprocess(tf.constant(batch))))
        for batch in iterate_batches(badge, shape, 16)
    ]
    person = unit(unit(np.concatenate(seen)).mean(axis=0, keepdims=True))[0]
    head = keras.layers.Dense(2, name="badge")
    answer = head(keras.layers.UnitNormalization(name="badge_unit")(embedding.output))
    head.set_weights(
        [
            scale * np.stack([person, np.zeros_like(person)], axis=1),
            np.array([-scale * threshold, 0], np.float32),
        ]
    )
    answer = keras.layers.Softmax(name="badge_softmax")(answer)
    return keras.Model(embedding.input, answer, name=f"{network.name}_badge")
