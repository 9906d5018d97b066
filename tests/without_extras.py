"""Run as a script in a process of its own: what each feature does without the extras.

Prints a JSON object: for each feature that needs an extra the error it raises, for each that does
not what it answers.
"""

import contextlib
import importlib.abc
import io
import json
import logging
import pathlib
import sys

EXTRAS = {
    *("cv2", "fsspec", "grpc", "matplotlib", "mtcnn", "onnxruntime", "prometheus_client"),
    *("pyarrow", "ray"),
    *("requests", "rich", "tensorflow_serving", "typer", "urllib3"),
}


class Refused(importlib.abc.MetaPathFinder):
    """Makes the modules of the extras look as if they were not installed."""

    def find_spec(self, fullname, path, target=None):
        if fullname.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def hide_extras():
    """Hides the extras, also those that TensorFlow or Keras has imported for itself."""
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    for name in [name for name in sys.modules if name.partition(".")[0] in EXTRAS]:
        del sys.modules[name]
    sys.meta_path.insert(0, Refused())


def error_of(function, *arguments, **settings):
    """The text of the ImportError that a call raises."""
    try:
        return f"no error, but {function(*arguments, **settings)!r}"
    except ImportError as error:
        return str(error)


def features(folder):
    """Yields the name of each feature that needs an extra, and the error it raises."""
    from small_detector import build_small_classifier, draw_images

    from tf_taintradar import TaintRadarModel, baselines, faces, scan, serving, video
    from tf_taintradar.classifier.onnx import OnnxLayer
    from tf_taintradar.demo.show import show
    from tf_taintradar.faces.detector import train_face_detector
    from tf_taintradar.monitor import Monitor

    classifier, images = build_small_classifier(), draw_images(20)
    radar = TaintRadarModel(classifier)
    papers = TaintRadarModel(classifier, variant="paper")
    yield "RestClient", error_of(serving.RestClient, "http://localhost:8501", "demo")
    yield "GrpcClient", error_of(serving.GrpcClient, "localhost:8500", "demo")
    for name, detector in (("score", radar), ("rank", papers)):
        found = detector.calibrate(images, target_fpr=0.1, verbose=0)
        yield f"Calibration.plot, by {name}", error_of(found.plot, folder / "plot.png")
    yield "Explanation.plot", error_of(radar.explain(images[0]).plot, folder / "why.png")
    yield "Evaluation.to_html", error_of(evaluation().to_html)
    yield "show", error_of(show, radar, folder / "demo")
    yield "train_face_detector", error_of(train_face_detector, folder, classifier, folder / "faces")
    yield "align", error_of(faces.align, folder, folder / "aligned")
    yield "read_frames", error_of(next, video.read_frames(folder / "film.mp4"))
    yield "Monitor.serve", error_of(Monitor(None, rate=0.06).serve, 0)
    yield "OnnxLayer", error_of(OnnxLayer, folder / "net.onnx")
    yield "DigitalWatermarking", error_of(baselines.DigitalWatermarking, classifier)
    yield "SentiNet", error_of(baselines.SentiNet, classifier)
    file = pathlib.Path(__file__)
    yield "scan, Parquet", error_of(scan.scan, radar, file, folder / "rows.parquet")
    yield "scan, an address", error_of(scan.scan, radar, "memory://photos")
    yield "scan, Ray", error_of(scan.scan, radar, file, engine="ray")


def evaluation():
    """An evaluation of one attack and one defence, made up."""
    import numpy as np

    from tf_taintradar.evaluation.metrics import Rate
    from tf_taintradar.evaluation.record import BenignRow, Example, Row
    from tf_taintradar.evaluation.result import Evaluation

    half, numbers = Rate(1, 2), ("n_images", "classifier_right", "n_calibration", "n_fit")
    return Evaluation(
        setting=dict.fromkeys(numbers, 2)
        | {"n_benign": 2, "tensorflow": "2", "keras": "3", "attacks": {"star": "a star"}}
        | {"run": {"target_class": 1, "seed": 0}},
        target_fprs=[0.1],
        benign=[BenignRow("sentinet", 0.1, 0.5, half, 1.0)],
        rows=[Row("star", "sentinet", 0.1, half, half, 0.5, half, None)],
        benign_scores={"sentinet": np.zeros(2)},
        attack_scores={"star": {"sentinet": np.ones(1)}},
        examples={"star": [Example(np.zeros((8, 8, 3), np.uint8), [])]},
    )


def exported(folder):
    """Exports a detector: what is logged, and how far the SavedModel's scores are off."""
    from small_detector import build_small_classifier, draw_images

    from tf_taintradar import TaintRadarModel
    from tf_taintradar.serving import load, write_serving_config

    log = io.StringIO()
    logging.getLogger("tf_taintradar").addHandler(logging.StreamHandler(log))
    radar, images = TaintRadarModel(build_small_classifier(), score_threshold=0.1), draw_images(4)
    radar.export(folder / "served" / "small" / "1")
    served = load(folder / "served" / "small").predict(images)["score"]
    return {
        "log": log.getvalue(),
        "off": float(abs(served - radar.predict(images, verbose=0)["score"]).max()),
        "files": [path.name for path in write_serving_config(folder / "served")],
        "warm-up": (folder / "served" / "small" / "1" / "assets.extra").exists(),
    }


def command_line():
    """Runs `taintradar`: its exit status and what it writes."""
    from tf_taintradar.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            return {"status": end.code, "stdout": out.getvalue(), "stderr": err.getvalue()}
    return {"status": "no exit"}


if __name__ == "__main__":
    hide_extras()
    work = pathlib.Path(sys.argv[1])
    found = {"errors": dict(features(work)), "export": exported(work), "cli": command_line()}
    sys.stdout.write(json.dumps(found))
