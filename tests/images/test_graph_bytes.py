"""Numbers out of bytes, inside the graph. Kind: two decoders."""

import zlib

import numpy as np
import pytest
import tensorflow as tf

from tf_taintradar.images.graph_bytes import crc32


@pytest.mark.parametrize("length", [4, 5, 7, 8, 9, 64, 1000])
def test_the_checksum_is_that_of_zlib(length):
    contents = np.random.default_rng(length).integers(0, 256, length).astype(np.uint8).tobytes()
    graph = tf.function(crc32, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
    assert int(graph(tf.constant(contents))) % 2**32 == zlib.crc32(contents)
