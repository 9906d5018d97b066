"""How a detector leaves its process: as a `.keras` file, as a SavedModel, as a config."""

import json
from collections.abc import Sequence
from typing import Any

import keras

from tf_taintradar.calibration.record import Calibration
from tf_taintradar.classifier.precision import precision_of
from tf_taintradar.export.savedmodel import check_replaceable, write_savedmodel
from tf_taintradar.export.signatures import signatures
from tf_taintradar.settings import SETTINGS, Settings
from tf_taintradar.support.checks import require
from tf_taintradar.support.files import replacing


class Saving(Settings, keras.Model):
    """The part of `TaintRadarModel` that writes it, and makes it anew from its config."""

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Writes the detector, its classifier and its calibration to one `.keras` file.

        An older file of that name stays until the new one is complete. To read it back,
        `import tf_taintradar`, then `keras.models.load_model(filepath)`.
        """
        if not overwrite or not str(filepath).endswith(".keras"):
            super().save(filepath, overwrite=overwrite, **kwargs)  # Keras asks, or explains
            return
        with replacing(filepath) as partial:
            super().save(partial, **kwargs)

    def export(self, filepath: Any, format: str = "tf_saved_model", **kwargs: Any) -> None:
        """Writes the detector as one SavedModel, which runs without Keras and without this package.

        The folder holds each weight once, the decision with its threshold, and what
        `signatures.signatures` lists. An older folder of that name stays until the new one is
        complete. `export_savedmodel` numbers versions as TensorFlow Serving wants them.

        Args:
            filepath: the folder to write.
            format: only "tf_saved_model".
            **kwargs: Keras's `verbose`, which is ignored; nothing else.

        Raises:
            NotCalibratedError: there is no threshold yet.
            ValueError: another format, or an argument that cannot be honoured.
            FileExistsError: there is something else of that name, which would be lost.
        """
        require(format == "tf_saved_model", "format", format, '"tf_saved_model"')
        unknown = set(kwargs) - {"verbose"}
        require(not unknown, "kwargs", sorted(unknown), "nothing but `verbose`")
        self._require_threshold()
        check_replaceable(filepath)
        with replacing(filepath) as partial:
            write_savedmodel(
                partial,
                signatures(self._pipeline, top_k=self._top_k, decide=self._decide),
                weights=self.weights,  # `variables` has seeds, too, which no answer depends on
                description=self._description(),
            )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments and the calibration, ready for JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            **{name: serialize(getattr(self, name)) for name in SETTINGS},
            "calibration": self._calibration and self._calibration.to_json(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Saving":
        """The detector that `get_config` described; its classifier's weights are new."""
        config = dict(config)
        calibration = config.pop("calibration")
        for name in ("classifier", "preprocessor", "fill"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        radar = cls(**config)
        if calibration is not None:
            radar.calibration = Calibration.from_json(calibration)
        return radar

    def _description(self) -> dict[str, Any]:
        opened = self._pipeline.classifier
        parts = self.classifier if isinstance(self.classifier, Sequence) else [self.classifier]
        return {
            "classifier": " + ".join(part.name for part in parts),
            "precision": precision_of(self.classifier),
            "input_shape": opened.input_shape,
            "n_classes": opened.n_classes,
            "class_names": self.class_names,
            "feature_layer": opened.feature_layer,
            "feature_shape": opened.feature_shape,
            "variant": self.variant,
            "threshold": self.threshold,
            "fill": repr(self.fill),
            "temperature": self.temperature,
            "map_threshold": self.map_threshold,
            "top_k": self.top_k,
            "calibration": self.calibration and json.loads(self.calibration.to_json()),
        }
