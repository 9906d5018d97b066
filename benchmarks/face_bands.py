"""Glasses on real faces: what the rule "bands" finds, whom it troubles, and what nobody can do.

Each question divides 143 people at random, several times: the rule is calibrated on photographs of
one half, without glasses and with plain frames, each within the target, and judges the other half.
Rates are means over the divisions. Passes are computed once and kept in `--cache`.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tensorflow as tf
import typer
from face_attacks import IMPERSONATION, aware, drawn_names, glasses, lasting, painted, whole
from face_sets import TARGETS, FaceBench, FaceSet, batches, changed, divide, measure
from face_wear import WEAR, Change, filmed, moved
from report import publish

from tf_taintradar import rules
from tf_taintradar.attacks.masks import eyeglasses_mask
from tf_taintradar.calibration.record import wilson_interval
from tf_taintradar.detection.bands import MOUTH
from tf_taintradar.detection.covering import logits_under
from tf_taintradar.detection.rule import Answers
from tf_taintradar.evaluation.metrics import Rate
from tf_taintradar.video.vote import SlidingWindows

EYES, DEFAULT = rules.Bands(), rules.Occlusion()
_SOME = 60  # benign photographs of a question that changes them
_FRAMES = 5  # of a film
_FILMS = 24  # photographs that glasses are made for on film


class Line(NamedTuple):
    """The rates of one set of photographs.

    Attributes:
        images: which photographs.
        n: number of them.
        flagged: share of them that is flagged, or certain, by target.
        succeeds: on how many the attack reaches its goal; None: all, or they are benign.
    """

    images: str
    n: int
    flagged: list[float]
    succeeds: Rate | None = None


class Bench(FaceBench):
    """The photographs, and the settings of `main`."""

    def __init__(
        self,
        cache: Path | None,
        limit: int | None,
        divisions: int,
        attacked: int,
        some: int,
        steps: int,
    ) -> None:
        super().__init__(cache, limit)
        self.divisions, self.attacked, self.some, self.steps = divisions, attacked, some, steps

    @property
    def few(self) -> dict[str, FaceSet]:
        """Some of the photographs without glasses, and with plain frames."""
        index = np.linspace(0, len(self.faces.people) - 1, _SOME).round().astype(int)
        return {name: faces.take(np.unique(index)) for name, faces in self.benign.items()}

    def lines(
        self, sets: dict[str, FaceSet], several: Sequence[rules.Rule] = (EYES,)
    ) -> list[Line]:
        """How much of each set is flagged; the largest score of several rules counts."""
        found = measure(self, several, sets, self.divisions)
        return [Line(name, len(faces.people), found[name]) for name, faces in sets.items()]

    def changed_lines(self, name: str, change: Change) -> list[Line]:
        """Lines of the photographs changed in one way; of attacks, those that still succeed."""
        sets, wins = {}, {}
        for kind, faces in {**self.few, **self.ready}.items():
            key = f"{kind}, {name}"
            sets[key] = changed(faces, change)
            if kind in self.ready:
                before = self.labels(kind, faces)
                after = self.labels(key, sets[key])
                success = after == before if kind == IMPERSONATION else after != faces.people
                wins[key] = Rate.of(success)
                sets[key] = sets[key].take(np.flatnonzero(success))
        return [line._replace(succeeds=wins.get(line.images)) for line in self.lines(sets)]

    def glasses(self) -> dict[str, FaceSet]:
        """Ready glasses, and those made anew."""
        made = glasses(self, self.attacked).items() if self.attacked else ()
        return {**self.ready, **{f"{name}, made anew": faces for name, faces in made}}


def rates(bench: Bench) -> list[Line]:
    """Photographs without glasses and with plain frames, and adversarial glasses."""
    return bench.lines({**bench.benign, **bench.glasses()})


def certain(bench: Bench) -> list[Line]:
    """Photographs on which no glasses within the band pass, for three kinds of goal."""
    classifier, faces = bench.radar.opened, bench.faces
    sides = EYES.sides(classifier.input_shape[:2])

    def make() -> Answers:
        parts = (tf.cast(batch, tf.float32) for batch in batches(faces.images))
        return {"logits": np.concatenate([logits_under(classifier, b, sides) for b in parts])}

    logits = bench.store.keep("covered/eyes", str(faces.images.shape), make)["logits"]
    order = bench.logits("faces", faces).argsort(axis=1)[:, ::-1]
    rows = np.flatnonzero(order[:, 0] == faces.people)
    goals = {
        "the runner-up": order[:, 1],
        "a drawn name": drawn_names(bench, faces.people),
        "any name": None,
    }
    found: dict[str, list[Any]] = {goal: [] for goal in goals}
    for part in divide(bench, [EYES], bench.divisions):
        least = part.rules[0].least_scores(tf.constant(logits)).numpy()[:, 0]
        least[np.arange(len(least)), faces.people] = np.inf  # the clean label is no attack
        for goal, names in goals.items():
            own = least.min(axis=1) if names is None else least[np.arange(len(least)), names]
            found[goal].append(part.rates(own[rows], faces.people[rows]))
    return [Line(goal, len(rows), np.mean(own, axis=0).tolist()) for goal, own in found.items()]


def misaligned(bench: Bench) -> list[Line]:
    """The faces, glasses and all, moved down or up under the band."""
    moves = {
        f"moved down by {100 * down:g} %": functools.partial(moved, down=down)
        for down in (-0.05, -0.025, 0.025, 0.05)
    }
    return [line for name, move in moves.items() for line in bench.changed_lines(name, move)]


def worn(bench: Bench) -> list[Line]:
    """Each thing that wearing and filming do, by itself."""
    return [line for name, change in WEAR.items() for line in bench.changed_lines(name, change)]


def video(bench: Bench) -> list[Line]:
    """One frame of a film, and the median of five as `VideoRadar` takes it; of attacks, those seen.

    A frame counts if the attack succeeds on it, five if it does on most of them.
    """
    rng, lines = np.random.default_rng(2), []
    made = lasting(bench, min(bench.some, _FILMS), rng)
    sets = {
        **bench.few,
        **bench.ready,
        **{f"{name}, made on film": it for name, it in made.items()},
    }
    parts = list(divide(bench, [EYES], bench.divisions))
    for name, faces in sets.items():
        people = faces.people.repeat(_FRAMES)
        frames = [filmed(image, rng) for image in faces.images for _ in range(_FRAMES)]
        answers = bench.answers([EYES], f"film, {name}", FaceSet(np.stack(frames), people))
        wins = np.ones(len(people), bool)
        if name not in bench.few:
            seen = answers[0]["label"]
            aim = bench.labels(name, faces).repeat(_FRAMES)
            wins = seen == aim if name.startswith(IMPERSONATION) else seen != people
        most = wins.reshape(-1, _FRAMES).mean(axis=1) > 0.5
        one, five = [], []
        for part in parts:
            scores = part.scores(answers)
            windows = SlidingWindows(_FRAMES, "median").apart(scores.reshape(-1, _FRAMES))
            one.append(part.rates(scores[wins], people[wins]))
            five.append(part.rates(windows[most], faces.people[most]))
        for n_frames, own, won in ((1, one, wins), (_FRAMES, five, most)):
            line = Line(
                f"{name}, {n_frames} frames", int(won.sum()), np.nanmean(own, axis=0).tolist()
            )
            lines.append(line._replace(succeeds=None if name in bench.few else Rate.of(won)))
    return lines


def beyond(bench: Bench) -> list[Line]:
    """Glasses with thick rims and masks over the mouth: the eye band, and the mouth's, too."""
    size = bench.radar.opened.input_shape[:2]
    shapes = {
        "thick rims": eyeglasses_mask(size, thickness=0.1),
        "a mask over the mouth": rules.Bands(bands=[MOUTH]).covering_windows(size)[0],
    }
    made = {name: painted(bench, name, bench.some, **whole(mask)) for name, mask in shapes.items()}
    sets = {**bench.benign, **{name: faces for name, (faces, _) in made.items()}}
    several = {"eyes": EYES, "eyes and mouth": rules.Bands(bands=[*EYES.bands, MOUTH])}
    return [
        line._replace(
            images=f"{line.images}; {which}", succeeds=made.get(line.images, (0, None))[1]
        )
        for which, rule in several.items()
        for line in bench.lines(sets, [rule])
    ]


def patches(bench: Bench) -> list[Line]:
    """A patch of 30 % for a drawn name, and glasses: default, bands, and the larger of both."""
    name = "a patch of 30 %"
    patch, succeeds = painted(bench, name, bench.some, diameter=0.3)
    sets = {**bench.benign, name: patch, **bench.ready}
    several = {"default": [DEFAULT], "bands": [EYES], "both": [DEFAULT, EYES]}
    return [
        line._replace(
            images=f"{line.images}; {which}", succeeds=succeeds if line.images == name else None
        )
        for which, own in several.items()
        for line in bench.lines(sets, own)
    ]


def knowing(bench: Bench) -> list[Line]:
    """Glasses by attackers who know the rule and its threshold: those that do not pass."""
    stopped = aware(bench, next(divide(bench, [EYES], 1)), bench.some, bench.steps)
    return [Line(goal, rate.n, [rate.value or 0.0]) for goal, rate in stopped.items()]


QUESTIONS: dict[str, Callable[[Bench], list[Line]]] = {
    question.__name__: question
    for question in (rates, certain, misaligned, worn, video, beyond, knowing, patches)
}
"""What `--question` takes."""


def main(
    question: Annotated[list[str], typer.Option(help="may be repeated")] = ["rates"],  # noqa: B006
    divisions: int = 20,
    attacked: Annotated[int, typer.Option(help="photographs for glasses made anew; 0: none")] = 60,
    some: Annotated[int, typer.Option(help="that are attacked in costlier ways")] = 50,
    steps: Annotated[int, typer.Option(help="of attackers who know the rule")] = 200,
    cache: Annotated[Path | None, typer.Option(help="a folder for what was computed")] = None,
    limit: Annotated[int | None, typer.Option(help="photographs")] = None,
    output: Annotated[Path | None, typer.Option(help="a folder for JSON files")] = None,
) -> dict[str, list[Line]]:
    """Print a table for each question."""
    bench = Bench(cache, limit, divisions, attacked, some, steps)
    found = {name: QUESTIONS[name](bench) for name in question}
    header = ["photographs", "n", "succeed", *(f"at {target:.0%}" for target in TARGETS)]
    for name, lines in found.items():
        about = f"{name}: {QUESTIONS[name].__doc__}".splitlines()[0]
        figures = [line._asdict() for line in lines]
        file = None if output is None else output / f"{name}.json"
        called = f"face_bands-{name}"
        publish(called, header, map(cells, lines), file, about=about, figures=figures)
    return found


def cells(line: Line) -> list[str]:
    """A line of the table, with the 95 % intervals of so many photographs."""
    shown = []
    for rate in line.flagged:
        low, high = wilson_interval(round(rate * line.n), line.n)
        shown.append(f"{100 * rate:.1f} ({100 * low:.0f} to {100 * high:.0f})")
    return [line.images, str(line.n), str(line.succeeds or "-"), *shown]


if __name__ == "__main__":
    typer.run(main)
