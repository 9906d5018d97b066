"""Outputs that do not compete: one of them as a question with two answers, no and yes.

A sigmoid says how likely one label is, whatever the other labels are. Its logit z is that of a
softmax over the two logits (0, z): label 0, no, has probability 1 - sigmoid(z), label 1, yes, has
sigmoid(z). With these two labels every rule works as with any others.
"""

from typing import Any

import tensorflow as tf

from tf_taintradar.classifier.graph import Form, Step, call_step
from tf_taintradar.classifier.logits import LINEAR, SIGMOID, Split
from tf_taintradar.errors import UnsupportedClassifierError
from tf_taintradar.support.checks import check_integer, require


def asked_output(activation: str, n_outputs: int, label: int | None) -> int | None:
    """Which of a classifier's outputs is asked about; None if its labels compete.

    Args:
        activation: what its last layer applies, see `Split`.
        n_outputs: how many outputs it has.
        label: the output that the caller asks about; None: the only one, or all of them compete.

    Raises:
        UnsupportedClassifierError: its labels do not compete, and `label` does not say which one
            is meant; or a softmax over one output.
        ValueError: `label` is out of range, or the labels compete.
    """
    if activation not in (LINEAR, SIGMOID):
        expected = "left out: this classifier's labels compete in a softmax, so all take part"
        require(label is None, "label", label, expected)
        if n_outputs == 1:
            raise UnsupportedClassifierError(
                "`classifier` has a softmax over a single output, which is 1 for every image. End "
                "it with a sigmoid, or with two outputs."
            )
        return None
    if label is not None:
        return check_integer("label", label, 0, n_outputs)
    if n_outputs == 1 and activation == LINEAR:
        raise UnsupportedClassifierError(
            "`classifier` has a single output without an activation. If that is the logit of a "
            "sigmoid, above 0 for yes, pass label=0; if it is a measure such as an age, it names "
            "no label that could be attacked."
        )
    if activation == LINEAR:
        return None
    if n_outputs > 1:
        raise UnsupportedClassifierError(
            f"`classifier` answers a sigmoid for each of its {n_outputs} labels, as multi-label "
            "networks do: they do not compete, so there is not one label that an attack changes. "
            f"Pass label=0 to {n_outputs - 1}, the one to watch; make a detector for each."
        )
    return 0


def as_two_labels(
    split: Split, output: int, asked: int, forms: dict[int, Form]
) -> tuple[Split, dict[int, Form]]:
    """A network whose logits are (0, z), and whose answer is what it says of the one label.

    Args:
        split: the network, see `logits.split_logits`.
        output: the key of its answer.
        asked: which of the logits is z.
        forms: the forms of all tensors.

    Returns:
        The network with two logits (b, 2), and its answer (b, 1), probability or logit as before;
        and the forms with those of the two logits.
    """
    key, dtype = max(forms) + 1, forms[split.logits].dtype

    def two(logits: tf.Tensor) -> tf.Tensor:
        rows = tf.reshape(logits, (tf.shape(logits)[0], -1))
        return no_and_yes(rows[:, asked : asked + 1])

    def answer(logits: tf.Tensor) -> tf.Tensor:
        z = logits[:, 1:]
        return tf.cast(tf.sigmoid(z) if split.activation == SIGMOID else z, forms[output].dtype)

    body: list[Step] = [*split.body, call_step(two, "no and yes", split.logits, key)]
    tail = [call_step(answer, "yes", key, output)]
    return Split(body, key, tail, split.activation), {**forms, key: Form((None, 2), dtype)}


def no_and_yes(z: Any) -> tf.Tensor:
    """The logits (b, 2) of no and yes, whose softmax is the sigmoid of z (b, 1)."""
    return tf.concat([tf.zeros_like(z), z], axis=-1)
