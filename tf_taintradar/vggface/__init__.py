"""VGG-Face: the VGG-16 face network of the paper's second scenario, in Keras 3.

`VGGFace` is the network, with the published weights or your own; `from_keras_vggface` converts a
network that was made with the package keras-vggface. Its preprocessing is
`TaintRadarModel(..., preprocessor="vggface")`; "vggface2" is for ResNet50 and SENet50. `transfer`
trains it on your own subjects (`teach` does so with your own division of their photographs),
`fine_tune` continues from there. `average_face` is the paper's fill for faces, `label_names` are
the names of the 2,622 identities.
"""

from tf_taintradar.faces.average import average_face
from tf_taintradar.faces.photographs import Photographs
from tf_taintradar.faces.subjects import Subjects, find_subjects
from tf_taintradar.faces.transfer import Transfer, teach, transfer
from tf_taintradar.faces.tuning import fine_tune
from tf_taintradar.vggface.architecture import VGGFace
from tf_taintradar.vggface.conversion import from_keras_vggface
from tf_taintradar.vggface.release import label_names
from tf_taintradar.vggface.weights import load_weights

__all__ = [
    "Photographs",
    "Subjects",
    "Transfer",
    "VGGFace",
    "average_face",
    "fine_tune",
    "find_subjects",
    "from_keras_vggface",
    "label_names",
    "load_weights",
    "teach",
    "transfer",
]
