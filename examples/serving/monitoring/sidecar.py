"""Watches a served detector by the log of its answers, and serves the metrics to Prometheus.

python sidecar.py answers.jsonl served/demo listens at port 9108. The log has a line for each
answer: `AnswerLog("answers.jsonl").append(answers)` writes it where the server is asked.
"""

import json
import sys
import time
from pathlib import Path

from tf_taintradar import Calibration
from tf_taintradar.export.savedmodel import METADATA_FILE, versions_in
from tf_taintradar.monitor import AnswerLog, Monitor


def main(log: str, detector: str, port: int = 9108) -> None:
    """Goes on until it is stopped; a new version of the detector asks for a new start."""
    monitor, answers = Monitor(read_calibration(Path(detector))), AnswerLog(log)
    observe_new(monitor, answers)  # before anyone looks: old alarms are not news
    monitor.serve(port, "0.0.0.0")
    while True:
        observe_new(monitor, answers)
        time.sleep(1)


def read_calibration(detector: Path) -> Calibration | None:
    """The calibration of the newest version in a detector's folder."""
    _, newest = max(versions_in(detector).items())
    values = json.loads((newest / METADATA_FILE).read_text())["calibration"]
    return None if values is None else Calibration.from_json(json.dumps(values))


def observe_new(monitor: Monitor, log: AnswerLog) -> None:
    """Counts what has been added to the log."""
    for answers in log.read():
        try:
            monitor.observe(answers)
        except ValueError as error:
            print(f"{log.path}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
