"""Images as arrays, in files and as bytes: what a detector takes, checked and made to fit."""

from tf_taintradar.images.decoding import decode_images
from tf_taintradar.images.files import read_image
from tf_taintradar.images.folders import find_images
from tf_taintradar.images.pixels import Shape, as_batch, as_pixels, as_whole_pixels, check_shape
from tf_taintradar.images.sources import iterate_batches

__all__ = [
    "Shape",
    "as_batch",
    "as_pixels",
    "as_whole_pixels",
    "check_shape",
    "decode_images",
    "find_images",
    "iterate_batches",
    "read_image",
]
