"""Images as arrays, files and bytes: checked, and fitted to what a detector takes."""

from tf_taintradar.images.decoding import decode_images
from tf_taintradar.images.files import read_image
from tf_taintradar.images.folders import find_images
from tf_taintradar.images.pixels import (
    ImagesLike,
    Shape,
    as_batch,
    as_pixels,
    as_whole_pixels,
    check_shape,
)
from tf_taintradar.images.sources import ImageFiles, ImageSource, iterate_batches

__all__ = [
    "ImageFiles",
    "ImageSource",
    "ImagesLike",
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
