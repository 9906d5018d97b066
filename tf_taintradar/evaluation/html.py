"""An evaluation as one self-contained HTML page."""

import base64
import html
import io
from typing import TYPE_CHECKING

from tf_taintradar import plot
from tf_taintradar.evaluation import report
from tf_taintradar.evaluation.record import Findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 0 0 1.5rem }
th, td { border-bottom: 1px solid #ddd; padding: .3rem .7rem; text-align: left }
th { background: #f4f4f6 }
img { max-width: 100% }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem }
"""


def page(found: Findings) -> str:
    """The HTML page: tables, ROC curves, and examples with the defences that flag them."""
    parts = [f"<p>{html.escape(report.summary(found))}</p><p>{html.escape(report.LEGEND)}</p>"]
    for title, (header, rows) in report.tables(found).items():
        parts.append(f"<h2>{html.escape(title)}</h2>{_table(header, rows)}")
    parts.append("<h2>ROC curves</h2><div class='curves'>")
    fooled = [attack for attack in found.attacks if found.examples[attack]]
    parts += [_picture(_roc(found, attack), f"ROC curves: {attack}") for attack in fooled]
    parts.append("</div><h2>Examples</h2>")
    parts += [_picture(_examples(found, attack), f"examples: {attack}") for attack in fooled]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>Attacks and defences</title><style>{_STYLE}</style></head>"
        f"<body><h1>Attacks and defences</h1>{''.join(parts)}</body></html>\n"
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>"


def _picture(figure: "Figure", description: str) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, dpi=80, format="png")
    data = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"<img alt='{html.escape(description, quote=True)}' src='data:image/png;base64,{data}'>"


def _roc(found: Findings, attack: str) -> "Figure":
    scores = found.attack_scores[attack]
    curves = {name: (found.benign_scores[name], scores[name]) for name in found.defences}
    return plot.roc_curves(curves, title=f"{attack} ({len(scores[found.defences[0]])} attacks)")


def _examples(found: Findings, attack: str) -> "Figure":
    examples = found.examples[attack]
    titles = ["seen by:\n" + "\n".join(example.seen_by or ["nobody"]) for example in examples]
    images = [example.image for example in examples]
    return plot.panels(images, titles, overlays=[None] * len(images), headline=attack)
