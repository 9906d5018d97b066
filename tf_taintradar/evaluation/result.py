"""What `evaluate` returns."""

import dataclasses
import os
from pathlib import Path

from tf_taintradar.evaluation import html, report
from tf_taintradar.evaluation.record import Findings
from tf_taintradar.support.files import replacing


@dataclasses.dataclass(frozen=True)
class Evaluation(Findings):
    """The findings of an evaluation, and the reports that are made of them.

    Attributes are those of `record.Findings`.
    """

    def to_markdown(self) -> str:
        """The tables as Markdown."""
        return report.markdown(self)

    def to_json(self) -> str:
        """All numbers and scores as JSON text."""
        return report.as_json(self)

    def to_html(self) -> str:
        """A self-contained HTML page with the tables, ROC curves and examples."""
        return html.page(self)

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Writes `report.md`, `.json` and `.html` into a folder and returns their paths."""
        texts = {"md": self.to_markdown(), "json": self.to_json(), "html": self.to_html()}
        paths = []
        for suffix, text in texts.items():
            path = Path(folder) / f"report.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_text(text, encoding="utf-8")
            paths.append(path)
        return paths
