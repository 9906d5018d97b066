"""SmoothGrad: the saliency of a prediction, averaged over noisy copies of the image."""

import tensorflow as tf

from tf_taintradar.classifier.opened import OpenedClassifier


def smooth_gradients(
    classifier: OpenedClassifier, images: tf.Tensor, *, n_samples: int, noise: float, seed: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """The logits of the images and the saliency of the predicted labels.

    Args:
        classifier: the opened classifier, see `open_classifier`.
        images: (b, H, W, c) float32, raw pixels 0..255.
        n_samples: number of noisy copies.
        noise: standard deviation of the noise, as a fraction of 255.
        seed: random seed of the noise, which is the same for every image.

    Returns:
        (b, n) float32, the logits, and (b, H, W) float32 >= 0, the mean absolute gradient of the
        predicted label's logit over copies and channels.

    Source: Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017.
    """
    logits = classifier.logits(images)
    labels = tf.argmax(logits, axis=-1, output_type=tf.int32)

    def saliency(sample: tf.Tensor) -> tf.Tensor:
        drawn = tf.random.stateless_normal(images.shape[1:], (seed, sample), alg="philox")
        noisy = images + 255 * noise * drawn
        with tf.GradientTape() as tape:
            tape.watch(noisy)
            own = tf.gather(classifier.logits(noisy), labels, batch_dims=1)
        return tf.reduce_mean(tf.abs(tape.gradient(own, noisy)), axis=-1)

    seen = tf.map_fn(saliency, tf.range(n_samples), fn_output_signature=tf.float32)
    return logits, tf.reduce_mean(seen, axis=0)
