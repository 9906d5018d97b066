"""A patch in many pieces, none of which says much by itself."""

from tf_taintradar.attacks.base import PatchAttack
from tf_taintradar.attacks.goal import TargetClass, short_target
from tf_taintradar.attacks.masks import scattered_mask
from tf_taintradar.attacks.penalties import Penalties
from tf_taintradar.attacks.placement import Placement
from tf_taintradar.classifier.kinds import PreprocessorSpec
from tf_taintradar.classifier.opened import ClassifierLike, open_classifier


class ScatteredPatch(PatchAttack):
    """Several small disks across the image, optimized together, each with pixels of its own.

    A defence that hides one part of the image leaves the other pieces. `partial` makes the pieces
    for each image, `universal` one set for all; the seed determines their places. `patches` have
    the size of the image.

    Example:
        attack = ScatteredPatch(classifier, target_class=7, n_pieces=8, preprocessor="tf")
        result = attack.partial(images)

    Args:
        classifier: any Keras image classifier that `TaintRadarModel` takes, or an opened one.
        target_class: the label that the attacker wants, from 0; or one for each image; None: any
            but the one that the classifier predicts for the clean image.
        preprocessor: raw pixels -> the classifier's input, as `TaintRadarModel` takes it.
        n_pieces: number of disks, >= 1.
        area: share of the image that they cover together, in (0, 0.5].
        penalties: penalties on colors that cannot be printed and on rough edges; None: none.
        stop_probability: probability of the target, in (0, 1], at which the attack on an image is
            finished; None: after `steps`.
        steps: largest number of steps of gradient descent.
        learning_rate: largest root mean square change of the painted pixels in one step, in pixel
            values, 0..255.
        batch_size: number of images that are attacked together, >= 1.
        seed: random seed of the places and batches, >= 0.

    Raises:
        UnsupportedClassifierError: the classifier cannot be opened.
        ValueError: another argument is out of range, or the pieces do not fit without overlap.

    Source: the idea of He et al., "DorPatch: Distributed and Occlusion-Robust Adversarial Patch to
    Evade Certifiable Defenses", NDSS 2024; theirs chooses the places by optimization, too.
    """

    def __init__(
        self,
        classifier: ClassifierLike,
        *,
        target_class: TargetClass,
        preprocessor: PreprocessorSpec | None = None,
        n_pieces: int = 8,
        area: float = 0.07,
        penalties: Penalties | None = None,
        stop_probability: float | None = None,
        steps: int = 200,
        learning_rate: float = 16.0,
        batch_size: int = 16,
        seed: int = 0,
    ) -> None:
        opened = open_classifier(classifier, preprocessor=preprocessor)
        size = opened.input_shape[:2]
        super().__init__(
            opened,
            target_class=target_class,
            mask=scattered_mask(size, n_pieces=n_pieces, area=area, seed=seed),
            placement=Placement((0, 0), 1, size, size),
            penalties=penalties,
            stop_probability=stop_probability,
            steps=steps,
            learning_rate=learning_rate,
            batch_size=batch_size,
            seed=seed,
        )
        self.n_pieces = n_pieces
        self.area = area

    def __repr__(self) -> str:
        return (
            f"ScatteredPatch(target_class={short_target(self.target_class)}, "
            f"n_pieces={self.n_pieces}, area={self.area}, steps={self.steps}, "
            f"learning_rate={self.learning_rate}, seed={self.seed})"
        )
