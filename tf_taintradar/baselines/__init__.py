"""Published defences to compare with: each scores images, larger is more suspicious.

All of them take any Keras classifier that `TaintRadarModel` takes, and score raw pixels
(n, H, W, c), 0..255. `SentiNet` and `Jujutsu` need some benign images first: `fit`.
"""

from tf_taintradar.baselines.base import Baseline
from tf_taintradar.baselines.jujutsu import Jujutsu
from tf_taintradar.baselines.local_gradients_smoothing import LocalGradientsSmoothing
from tf_taintradar.baselines.patchcleanser import PatchCleanser
from tf_taintradar.baselines.sentinet import Curve, SentiNet
from tf_taintradar.baselines.watermarking import DigitalWatermarking

__all__ = [
    "Baseline",
    "Curve",
    "DigitalWatermarking",
    "Jujutsu",
    "LocalGradientsSmoothing",
    "PatchCleanser",
    "SentiNet",
]
