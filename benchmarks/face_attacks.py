"""Attacks on the faces of `face_sets`, computed once: glasses, other shapes, attackers who know."""

from typing import Any

import numpy as np
import numpy.typing as npt
from face_sets import TARGETS, Division, FaceBench, FaceSet
from face_wear import filmed

from tf_taintradar.attacks import AdaptivePatch, AdversarialPatch, EyeglassesAttack
from tf_taintradar.attacks.masks import eyeglasses_mask
from tf_taintradar.detection.rule import Answers
from tf_taintradar.evaluation.metrics import Rate

IMPERSONATION, DODGING = "impersonation", "dodging"
_WHOLE: dict[str, Any] = {"diameter": 1.0, "place": (0, 0)}  # a mask of the image's size


def drawn_names(bench: FaceBench, people: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A name for each photograph that is not the person's."""
    n_labels = bench.radar.opened.n_classes
    return (people + np.random.default_rng(5).integers(1, n_labels, len(people))) % n_labels


def known(bench: FaceBench, n: int) -> FaceSet:
    """So many photographs at random that the network gets right."""
    right = bench.labels("faces", bench.faces) == bench.faces.people
    order = np.random.default_rng(4).permutation(np.flatnonzero(right))
    return bench.faces.take(order[:n])


def glasses(bench: FaceBench, n: int, steps: int = 300) -> dict[str, FaceSet]:
    """One pair for each of n photographs, those that succeed; by the wearer's goal."""
    faces = known(bench, n)
    sets = {}
    for goal, target in ((IMPERSONATION, drawn_names(bench, faces.people)), (DODGING, None)):

        def make(target: Any = target) -> Answers:
            attack = EyeglassesAttack(bench.radar.opened, target_class=target, steps=steps)
            result = attack.partial(faces.images, verbose=0)
            return {"images": result.images, "success": result.success}

        found = bench.store.keep(f"glasses/{goal}", f"{n} {steps}", make)
        sets[goal] = FaceSet(found["images"], faces.people).take(np.flatnonzero(found["success"]))
    return sets


def lasting(
    bench: FaceBench, n: int, rng: np.random.Generator, steps: int = 100, n_frames: int = 8
) -> dict[str, FaceSet]:
    """Glasses for each of n photographs, made on a film of it, by the wearer's goal.

    One pair has to do on the photograph and on all frames of the film, and so outlasts some of what
    filming does.
    """
    faces = known(bench, n)
    sets = {}
    for goal, targets in ((IMPERSONATION, drawn_names(bench, faces.people)), (DODGING, [None] * n)):

        def make(targets: Any = targets) -> Answers:
            worn = []
            for image, target in zip(faces.images, targets, strict=True):
                film = np.stack([image, *(filmed(image, rng) for _ in range(n_frames))])
                attack = EyeglassesAttack(
                    bench.radar.opened, target_class=target, steps=steps, stop_probability=None
                )
                worn.append(attack.universal(film, verbose=0).images[0])
            return {"images": np.stack(worn)}

        found = bench.store.keep(f"lasting/{goal}", f"{n} {steps} {n_frames}", make)
        sets[goal] = FaceSet(found["images"], faces.people)
    return sets


def painted(
    bench: FaceBench, name: str, n: int, steps: int = 100, **shape: Any
) -> tuple[FaceSet, Rate]:
    """Patches of a shape for drawn names on n photographs: those that succeed, and how many."""
    faces = known(bench, n)

    def make() -> Answers:
        attack = AdversarialPatch(
            bench.radar.opened,
            target_class=drawn_names(bench, faces.people),
            stop_probability=0.95,
            steps=steps,
            **shape,
        )
        result = attack.partial(faces.images, verbose=0)
        return {"images": result.images, "success": result.success}

    found = bench.store.keep(f"painted/{name}", f"{n} {steps}", make)
    worn = FaceSet(found["images"], faces.people).take(np.flatnonzero(found["success"]))
    return worn, Rate.of(found["success"])


def whole(mask: npt.NDArray[Any]) -> dict[str, Any]:
    """The settings of a patch whose mask (H, W) has the size of the image."""
    return {"shape": mask, **_WHOLE}


def aware(bench: FaceBench, part: Division, n: int, steps: int) -> dict[str, Rate]:
    """How many of n photographs of the others no pair of glasses passes on, by the goal.

    The attacker knows the rule and its threshold, the one for the first of `TARGETS`.
    """
    faces = known(bench, len(bench.faces.people))
    faces = faces.take(np.flatnonzero(np.isin(faces.people, part.others))[:n])
    level = float(part.thresholds[TARGETS.index(0.06), 0])
    radar = bench.radar.replaced(variant=part.rules[0], score_threshold=level)
    frame = whole(eyeglasses_mask(bench.radar.opened.input_shape[:2]))
    stopped = {}
    for goal, target in ((IMPERSONATION, drawn_names(bench, faces.people)), (DODGING, None)):

        def make(target: Any = target) -> Answers:
            more = {"regions": "fixed", "steps": steps, "learning_rate": 8.0, **frame}
            attack = AdaptivePatch(radar, target_class=target, **more)
            result = attack.partial(faces.images, verbose=0)
            is_flagged = radar.predict(result.images, verbose=0)["is_adversarial"]
            return {"stopped": ~result.success | is_flagged}

        found = bench.store.keep(f"aware/{goal}", f"{level} {n} {steps}", make)
        stopped[goal] = Rate.of(found["stopped"])
    return stopped
