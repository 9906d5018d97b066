"""Networks with random weights, by name, and how the detector is put around them."""

from typing import Any

import keras
import numpy as np

from tf_taintradar.demo.drawn_faces import draw_face
from tf_taintradar.vggface import VGGFace, average_face

VGGFACE = "VGGFace"
N_FACES = 16  # in the average


def build(network: str, size: int) -> tuple[keras.Model, dict[str, Any]]:
    """A classifier of images (size, size, 3), and settings of `TaintRadarModel` for it.

    `network` is a name of keras.applications, or VGGFace: that one gets the paper's fill for faces,
    an average face.
    """
    keras.utils.set_random_seed(0)
    if network != VGGFACE:
        classifier = getattr(keras.applications, network)(weights=None, input_shape=(size, size, 3))
        return classifier, {"preprocessor": "caffe"}
    faces = np.stack([draw_face(i, 0, size=size) for i in range(N_FACES)])
    fill = average_face(faces, (size, size, 3))
    classifier = VGGFace(input_shape=(size, size, 3))
    return classifier, {"preprocessor": "vggface", "fill": fill}
