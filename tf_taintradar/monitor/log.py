"""A log of answers between two programs, one JSON document a line: one asks, one watches."""

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tf_taintradar.monitor.answers import AnswersLike, read_answers

_LOG = logging.getLogger(__name__)


class AnswerLog:
    """Appends answers to a log, or reads what has been appended, also after a rotation.

    Args:
        path: the log; it need not exist yet.

    Attributes:
        path: the log.
        n_bad: number of lines so far that are not valid JSON.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.n_bad = 0
        self._file: io.BufferedReader | None = None
        self._rest = b""

    def append(self, answers: AnswersLike) -> None:
        """Writes a line with the answers for further images, in any form of `Monitor.observe`.

        Several programs may write to one log.

        Raises:
            ValueError: `answers` is not in any form of `Monitor.observe`.
        """
        columns = read_answers(answers)._asdict()
        line = json.dumps({name: values.tolist() for name, values in columns.items()}) + "\n"
        with self.path.open("ab", buffering=0) as file:  # one write: lines are never mixed
            file.write(line.encode())

    def read(self) -> Iterator[Any]:
        """Yields the document of each line that was finished since the last call.

        If another file has taken the log's place, it is read from its beginning, after the rest of
        the former one; so is a log that was truncated to nothing. Lines that are not valid JSON are
        counted and logged.
        """
        if self._file is None:
            self._open()
        if self._file is None:
            return
        yield from self._documents()
        if self._is_another():
            yield from self._documents()  # what came in between
            self.close()
            self._open()
            yield from self._documents()

    def close(self) -> None:
        """Closes the file; `read` would begin anew."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""

    def _open(self) -> None:
        try:
            self._file = self.path.open("rb")
        except FileNotFoundError:
            self._file = None

    def _is_another(self) -> bool:
        """Whether the path names another file now, or this one was cut."""
        if self._file is None:
            return False
        own = os.fstat(self._file.fileno())
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False  # between two steps of a rotation
        return not os.path.samestat(own, now) or now.st_size < self._file.tell()

    def _documents(self) -> Iterator[Any]:
        for line in self._file or ():
            self._rest += line
            if not line.endswith(b"\n"):
                return  # still being written
            whole, self._rest = self._rest, b""
            try:
                yield json.loads(whole)
            except ValueError:
                self.n_bad += 1
                _LOG.warning("%s: a line that is no JSON: %.60r", self.path, whole)
