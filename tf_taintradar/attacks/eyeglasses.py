"""Adversarial eyeglasses: an attack that a person can wear."""

from tf_taintradar.attacks.base import PatchAttack
from tf_taintradar.attacks.goal import TargetClass, short_target
from tf_taintradar.attacks.masks import eyeglasses_mask
from tf_taintradar.attacks.penalties import Penalties
from tf_taintradar.attacks.placement import Placement
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import ClassifierLike, open_classifier

WEARABLE = Penalties(smoothness=0.3, printability=0.3)
"""The default penalties of glasses, relative to a cross-entropy in nats. Our own choice."""


class EyeglassesAttack(PatchAttack):
    """Eyeglass frames that make a face classifier name somebody else.

    With a `target_class`, the wearer is taken for that person (impersonation); without one, for
    anybody else (dodging). `universal` makes one pair for several photographs of one person,
    `partial` one pair for each photograph. The `patches` have the size of the image.

    Example:
        attack = EyeglassesAttack(classifier, target_class=7, preprocessor="vggface")
        result = attack.universal(photographs_of_one_person)

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes, or one that is opened
            already: `radar.opened`, or the result of `open_classifier`.
        target_class: the label that the wearer wants, from 0, or one for each image; None: any
            label but the one of the clean image.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it; None for
            an opened classifier, which has its own.
        eye_line: height of the eyes as a fraction of the image's height, from the top.
        width: width of the glasses as a fraction of the image's width, in (0, 1].
        penalties: penalties for colors that cannot be printed and for rough edges.
        stop_probability: in (0, 1]. The glasses are finished when the wearer's goal has this
            probability, averaged over all photographs that share the pair. None: after `steps`.
        steps: largest number of steps of gradient descent, >= 1.
        learning_rate: largest root mean square change of the painted pixels in one step, in pixel
            values, 0..255.
        batch_size: number of images that are attacked together, >= 1. For more images, `partial`
            processes one group after another, `universal` draws a random batch for each step.
        seed: random seed, >= 0; the same seed gives the same result.

    Raises:
        UnsupportedClassifierError: the classifier cannot be opened.
        ValueError: another argument is out of range.

    Source: Sharif et al., "Accessorize to a Crime", CCS 2016, which stops at a probability of 0.95
    or after 300 steps.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        target_class: TargetClass,
        preprocessor: PreprocessorSpec | None = None,
        eye_line: float = 0.42,
        width: float = 0.94,
        penalties: Penalties = WEARABLE,
        stop_probability: float | None = 0.95,
        steps: int = 300,
        learning_rate: float = 8.0,
        batch_size: int = 16,
        seed: int = 0,
    ) -> None:
        opened = open_classifier(classifier, preprocessor=preprocessor)
        size = opened.input_shape[:2]
        super().__init__(
            opened,
            target_class=target_class,
            mask=eyeglasses_mask(size, eye_line=eye_line, width=width),
            placement=Placement((0, 0), 1, size, size),
            penalties=penalties,
            stop_probability=stop_probability,
            steps=steps,
            learning_rate=learning_rate,
            batch_size=batch_size,
            seed=seed,
        )
        self.eye_line = eye_line
        self.width = width

    def __repr__(self) -> str:
        return (
            f"EyeglassesAttack(target_class={short_target(self.target_class)}, "
            f"eye_line={self.eye_line}, width={self.width}, "
            f"stop_probability={self.stop_probability}, steps={self.steps}, "
            f"learning_rate={self.learning_rate}, seed={self.seed})"
        )
