"""The HTML of a gallery: cards to filter, to sort, and to walk through with the keyboard."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tf_taintradar.scan.finding import NOT_FINITE, Finding

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


SIDE = 160
"""The longer side of a thumbnail, in pixels."""


class Card(NamedTuple):
    """An image on the page.

    Attributes:
        finding: What was found.
        picture: Its thumbnail, a `data:` address.
        size: Width and height of the image itself, in pixels.
        part: The box around the tainted region as shares of the image: left, top, right, bottom;
            None without one.
    """

    finding: Finding
    picture: str
    size: tuple[int, int]
    part: tuple[float, float, float, float] | None


def page(cards: Sequence[Card], summary: str) -> Iterator[str]:
    """The page in pieces: cards in their order, the most suspicious first.

    It loads nothing, and its policy forbids it to.

    Args:
        cards: The images.
        summary: Lines of text for the top.
    """
    yield (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        "<meta name='viewport' content='width=device-width'>"
        f"<title>Suspicious images</title><style>{_beside('css')}</style></head><body>"
        f"<h1>Suspicious images</h1><pre>{html.escape(summary)}</pre>{_controls(cards)}"
        "<main id='cards'>"
    )
    names = {card.finding.label: _label(card.finding) for card in cards}
    for rank, card in enumerate(cards):
        yield _figure(card, rank, names)
    yield (
        "</main><dialog aria-label='One image'><div class='shown'></div><dl class='told'></dl>"
        "<form method='dialog'><button>Close</button></form></dialog>"
        f"<script>{_beside('js')}</script></body></html>\n"
    )


def _beside(suffix: str) -> str:
    """The part of the page that is in a file beside this one."""
    return Path(__file__).with_suffix(f".{suffix}").read_text(encoding="utf-8")


def _controls(cards: Sequence[Card]) -> str:
    names = sorted({_label(card.finding) for card in cards})
    labels = "".join(f"<option>{html.escape(name)}</option>" for name in names)
    return (
        "<form role='search'><label>Find <input id='find' type='search' "
        "placeholder='path, label or reason'></label>"
        "<label>Verdict <select id='verdict'><option value=''>all</option>"
        "<option>flagged</option><option>not flagged</option></select></label>"
        f"<label>Label <select id='label'><option value=''>all</option>{labels}</select></label>"
        "<label>Sort by <select id='order'><option value='score'>highest score</option>"
        "<option value='least'>lowest score</option><option value='path'>path</option>"
        "<option value='label'>label</option></select></label>"
        "<output id='count' aria-live='polite'></output>"
        "<small>Keys: <kbd>/</kbd> to find, arrows to walk, <kbd>Enter</kbd> to open</small></form>"
    )


def _figure(card: Card, rank: int, names: Mapping[int | None, str]) -> str:
    finding = card.finding
    verdict = "flagged" if finding.is_adversarial else "not flagged"
    data = {"rank": rank, "verdict": verdict, "label": _label(finding), "path": finding.path}
    told = "".join(f" data-{k}='{html.escape(str(v), quote=True)}'" for k, v in data.items())
    name = finding.path.rpartition("/")[2] or finding.path
    style = " class='flagged'" if finding.is_adversarial else ""
    return (
        f"<figure tabindex='0'{told}>{_picture(card, name)}<figcaption>"
        f"<b>{html.escape(_label(finding))}</b><span{style}>{_score(finding)}</span>"
        f"<small>{html.escape(name)}</small></figcaption>"
        f"<template>{_details(card, names)}</template></figure>\n"
    )


def _picture(card: Card, name: str) -> str:
    width, height = card.size
    scale = SIDE / max(width, height)
    shown = max(1, round(min(scale, 1) * width)), max(1, round(min(scale, 1) * height))
    box = ""
    if card.part is not None:
        left, top, right, bottom = (100 * edge for edge in card.part)
        box = (
            f"<i style='left:{left:.2f}%;top:{top:.2f}%;width:{right - left:.2f}%;"
            f"height:{bottom - top:.2f}%'></i>"
        )
    return (
        f"<span class='picture'><img src='{card.picture}' alt='{html.escape(name, quote=True)}' "
        f"width='{shown[0]}' height='{shown[1]}' decoding='async'>{box}</span>"
    )


def _details(card: Card, names: Mapping[int | None, str]) -> str:
    """What the dialog says of an image; `names` are those of the labels that the page shows."""
    finding, (width, height) = card.finding, card.size
    recovered = finding.recovered_label
    rows = {
        "path": finding.path,
        "label": _label(finding),
        "score": NOT_FINITE if finding.score is None else f"{finding.score:.4g}",
        "threshold": f"{finding.threshold:.4g}",
        "why": finding.witness,
        "region": finding.box and "columns {0} to {2}, rows {1} to {3}".format(*finding.box),
        "without it": finding.box and names.get(recovered, f"label {recovered}"),
        "size": f"{width} x {height}, {finding.size} bytes",
        "sha256": finding.sha256,
    }
    return "".join(
        f"<dt>{name}</dt><dd>{html.escape(str(value))}</dd>"
        for name, value in rows.items()
        if value is not None
    )


def _label(finding: Finding) -> str:
    if finding.label is None:
        return NOT_FINITE
    return finding.name or f"label {finding.label}"


def _score(finding: Finding) -> str:
    return NOT_FINITE if finding.score is None else f"score {finding.score:.3g}"
