"""The decoder inside the graph answers what `read_image` answers, and survives what is no image.

Kind: two decoders.
"""

import resource
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from image_formats import encoded
from PIL import Image

from tf_taintradar.errors import ImageError
from tf_taintradar.images.decoding import decode_images
from tf_taintradar.images.files import read_image
from tf_taintradar.images.folders import find_images

SIZE = (48, 64)
ORIENTATION, SHORT, LONG = 0x0112, 3, 4


def picture(mode="RGB", height=70, width=110, seed=0):
    """Smooth random colours, as JPEG likes them."""
    colours = np.random.default_rng(seed).integers(0, 256, (9, 13, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def with_alpha(mode="RGBA"):
    image = picture("RGBA")
    image.putalpha(picture("L", seed=1))
    return image.convert(mode)


def jpeg(**options):
    return encoded(picture(), "JPEG", **options)


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def tiff(value, order="<", *, gap=0, kind=SHORT, tag=ORIENTATION):
    """EXIF data of three entries, the orientation in their middle."""
    entries = [(0x010F, SHORT, 7), (tag, kind, value), (0x0213, SHORT, 1)]
    body = b"".join(struct.pack(order + "HHIH2x", tag, kind, 1, v) for tag, kind, v in entries)
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8 + gap)
    return head + bytes(gap) + struct.pack(order + "H", len(entries)) + body + bytes(4)


def turned(exif_data, before=b""):
    """A JPEG file with these EXIF data, and with other segments before them."""
    plain = jpeg()
    return plain[:2] + before + segment(0xE1, b"Exif\0\0" + exif_data) + plain[2:]


def deep_png():
    samples = np.random.default_rng(2).integers(0, 2**16, (70, 110), dtype=np.uint16)
    return encoded(Image.fromarray(samples), "PNG")


FILES = {
    "JPEG 4:2:0": jpeg(quality=70),
    "JPEG 4:2:2": jpeg(subsampling=1),
    "JPEG 4:4:4": jpeg(subsampling=0),
    "JPEG progressive": jpeg(progressive=True),
    "JPEG grey": encoded(picture("L"), "JPEG"),
    "JPEG CMYK": encoded(picture("CMYK"), "JPEG"),
    "JPEG of a camera": jpeg(exif=tiff(6), comment=b"made by hand", icc_profile=bytes(70_000)),
    "PNG": encoded(picture(), "PNG"),
    "PNG interlaced size": encoded(picture(height=1, width=300), "PNG"),
    "PNG RGBA": encoded(with_alpha(), "PNG"),
    "PNG palette": encoded(picture().quantize(16), "PNG"),
    "PNG palette transparent": encoded(picture().quantize(16), "PNG", transparency=3),
    "PNG grey": encoded(picture("L"), "PNG"),
    "PNG grey alpha": encoded(with_alpha("LA"), "PNG"),
    "PNG 1 bit": encoded(picture("1"), "PNG"),
    "PNG 16 bit": deep_png(),
    "PNG of the right size": encoded(picture(height=48, width=64), "PNG"),
    "GIF": encoded(picture(), "GIF"),
    "GIF animated": encoded(
        picture(), "GIF", save_all=True, append_images=[picture(seed=1), picture(seed=2)]
    ),
    "BMP": encoded(picture(), "BMP"),
    "BMP grey": encoded(picture("L"), "BMP"),
    "WebP": encoded(picture(), "WEBP"),
    "WebP lossless": encoded(picture(), "WEBP", lossless=True),
    "WebP RGBA": encoded(with_alpha(), "WEBP", lossless=True, exact=True),
    "WebP RGBA lossy": encoded(with_alpha(), "WEBP", exact=True),
    "WebP of a camera": encoded(picture(), "WEBP", exif=tiff(1)),
    "WebP RGBA of a camera": encoded(with_alpha(), "WEBP", lossless=True, exif=tiff(1)),
    "WebP animated RGBA": encoded(
        with_alpha(), "WEBP", save_all=True, append_images=[with_alpha("LA").convert("RGBA")]
    ),
    "EXIF after JFIF": turned(tiff(6), before=segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")),
    "EXIF after XMP": turned(tiff(6), before=segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0")),
    "EXIF after others": turned(tiff(8), before=40 * segment(0xFE, bytes(1000))),
    "EXIF further on": turned(tiff(5, gap=300)),
    "EXIF further on, big endian": turned(tiff(5, ">", gap=301)),
    "EXIF of no orientation": turned(tiff(6, tag=0x0128)),
    "EXIF orientation 0": turned(tiff(0)),
    "EXIF orientation 9": turned(tiff(9)),
    "EXIF cut off": turned(tiff(6)[:12]),
    "EXIF empty": turned(b""),
    "EXIF directory beyond the end": turned(b"II*\0" + struct.pack("<I", 10**6)),
    "EXIF directory before the start": turned(b"II*\0" + struct.pack("<I", 2**32 - 4)),
    "EXIF of many entries": turned(b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(99)),
    **{
        f"EXIF {value} {order}": turned(tiff(value, order))
        for value in range(1, 9)
        for order in "<>"
    },
}


@pytest.fixture(scope="module")
def decode():
    """The decoder for 3 channels and for 1, each traced once."""
    return {
        channels: tf.function(
            lambda encoded, channels=channels: decode_images(encoded, (*SIZE, channels)),
            input_signature=[tf.TensorSpec((None,), tf.string)],
            autograph=False,
        )
        for channels in (1, 3)
    }


@pytest.fixture(scope="module")
def decoded(decode):
    """All files in one batch, by name: the image and whether it is valid."""
    contents = tf.constant(list(FILES.values()))
    answers = {channels: decode[channels](contents) for channels in (1, 3)}
    return {
        channels: dict(zip(FILES, zip(images.numpy(), valid.numpy(), strict=True), strict=True))
        for channels, (images, valid) in answers.items()
    }


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
@pytest.mark.parametrize("channels", [3, 1])
def test_every_file_is_decoded_as_read_image_reads_it(decoded, tmp_path, channels):
    different = []
    for name, (image, valid) in decoded[channels].items():
        (tmp_path / "file").write_bytes(FILES[name])
        expected = read_image(tmp_path / "file", (*SIZE, channels))
        assert image.dtype == expected.dtype
        if not (valid and np.array_equal(image, expected)):
            different.append(name)
    assert different == []


def test_the_orientations_are_eight_pictures(decoded):
    images = [decoded[3][f"EXIF {value} <"][0].tobytes() for value in range(1, 9)]
    assert len(set(images)) == 8


# Bad rows


def huge_png():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    body = struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + body


def patched(content, at, values, form):
    return content[:at] + struct.pack(form, *values) + content[at + struct.calcsize(form) :]


def huge_jpeg():
    content = jpeg()
    frame = content.index(b"\xff\xc0")
    return patched(content, frame + 5, (60_000, 60_000), ">HH")


def huge_webp(kind):
    """The beginning of a file in which a side of each kind of header is the largest possible."""
    header = {
        b"VP8 ": b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383),
        b"VP8L": b"\x2f" + struct.pack("<I", 2**28 - 1),
        b"VP8X": bytes(4) + b"\xff\xff\x00" * 2,
    }[kind]
    chunk = kind + struct.pack("<I", len(header) + 100) + header + bytes(100)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


BAD = {
    "nothing": b"",
    "text": b"hello world",
    "half a JPEG": jpeg()[: len(jpeg()) // 2],
    "half a PNG": FILES["PNG"][: len(FILES["PNG"]) // 2],
    "half a GIF": FILES["GIF"][:200],
    "half a BMP": FILES["BMP"][: len(FILES["BMP"]) // 2],
    "half a WebP": FILES["WebP"][: len(FILES["WebP"]) // 2],
    "JPEG header": b"\xff\xd8\xff",
    "PNG header": b"\x89PNG\r\n\x1a\n",
    "GIF header": b"GIF89a",
    "BMP header": b"BM",
    "huge PNG": huge_png(),
    "huge JPEG": huge_jpeg(),
    "huge GIF": patched(FILES["GIF"], 6, (60_000, 60_000), "<HH"),
    "huge BMP": patched(FILES["BMP"], 18, (60_000, 60_000), "<ii"),
    "huge BMP upside down": patched(FILES["BMP"], 18, (60_000, -60_000), "<ii"),
    "huge WebP": huge_webp(b"VP8 "),
    "huge WebP, lossless": huge_webp(b"VP8L"),
    "huge WebP, extended": huge_webp(b"VP8X"),
}


@pytest.fixture(scope="module")
def spoiled(decode):
    """Each bad file between two good ones, all in one batch; and the kilobytes that it took."""
    good = FILES["JPEG 4:2:0"]
    batch = [good, *(content for bad in BAD.values() for content in (bad, good))]
    decode[3](tf.constant([good]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    images, valid = decode[3](tf.constant(batch))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return images.numpy(), valid.numpy(), kilobytes


def test_what_is_no_image_is_invalid_and_black(spoiled, tmp_path):
    images, valid, _ = spoiled
    assert not images[1::2].any()
    assert [name for name, is_valid in zip(BAD, valid[1::2], strict=True) if is_valid] == []
    for content in BAD.values():
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ImageError):
            read_image(tmp_path / "file", (*SIZE, 3))


def test_bad_rows_spoil_no_others(spoiled, decoded):
    images, valid, _ = spoiled
    assert valid[::2].all()
    expected, _ = decoded[3]["JPEG 4:2:0"]
    np.testing.assert_array_equal(images[::2], np.stack([expected] * (len(BAD) + 1)))


def test_huge_headers_are_refused_before_they_cost_memory(spoiled):
    assert spoiled[2] < 500_000  # one of these pictures would take 3.6 GB, if it were decoded


def test_all_rows_bad_and_no_rows_at_all(decode):
    images, valid = decode[3](tf.constant(list(BAD.values())))
    assert not valid.numpy().any()
    assert images.shape == (len(BAD), *SIZE, 3)
    images, valid = decode[1](tf.constant([], tf.string))
    assert (images.shape, valid.shape) == ((0, *SIZE, 1), (0,))


def test_an_opaque_animation_of_webp_is_beyond_tensorflow(decode):
    frames = {"save_all": True, "append_images": [picture(seed=1)]}
    opaque = encoded(picture(), "WEBP", **frames)
    assert decode[3](tf.constant([opaque]))[1].numpy().tolist() == [False]


def test_photographs(shared):
    files = find_images(shared / "data" / "imagenet_dev")[:6]
    files += find_images(shared / "data" / "faces")[:6]
    contents = tf.constant([file.read_bytes() for file in files])
    images, valid = tf.function(decode_images)(contents, (224, 224, 3))
    assert valid.numpy().all()
    for image, file in zip(images, files, strict=True):
        np.testing.assert_array_equal(image, read_image(file, (224, 224, 3)), err_msg=str(file))
