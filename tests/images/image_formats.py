"""Small image files of every format and colour type, most of them written byte by byte.

They hold what the usual encoders never write, and what other programs do: palettes of BMP, frames
of GIF that leave room, orientations in places where Pillow looks for them.
"""

import io
import itertools
import struct
import zlib

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 10, 14  # neither is a multiple of 4 or 8
ORIENTATION, BYTE, SHORT, LONG = 0x0112, 1, 3, 4


def samples(channels=1, levels=256, seed=0, height=HEIGHT, width=WIDTH):
    """(height, width, channels) of random numbers below `levels`."""
    return np.random.default_rng(seed).integers(0, levels, (height, width, channels))


def smooth(mode="RGB", height=HEIGHT, width=WIDTH, seed=0):
    """Smooth random colours, as JPEG likes them."""
    colours = samples(3, 256, seed, 3, 4).astype(np.uint8)
    return Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def with_alpha(mode="RGBA"):
    image = smooth("RGBA")
    image.putalpha(smooth("L", seed=1))
    return image.convert(mode)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# Metadata


def exif(orientation, order="<", *, kind=SHORT, count=1, tag=ORIENTATION, first=None):
    """TIFF data of an orientation between two other entries; `first` stands before it."""
    values = [(0x010F, SHORT, 1, 7), (tag, kind, count, orientation), (0x0213, SHORT, 1, 1)]
    if first is not None:
        values.insert(0, (tag, SHORT, 1, first))
    forms = {BYTE: "HHIB3x", SHORT: "HHIH2x", LONG: "HHII"}
    body = b"".join(struct.pack(order + forms[value[1]], *value) for value in values)
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", len(values)) + body + bytes(4)


def xmp(orientation, form='tiff:Orientation="%d"'):
    return b"<x:xmpmeta><rdf " + (form % orientation).encode() + b"/></x:xmpmeta>"


# PNG


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(colour, bits, *, before=(), after=(), palette=None, levels=None, interlaced=False):
    """A PNG file of random samples, with other chunks before and after those of the pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    pixels = samples(channels, levels or 2**bits)
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
        passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = []
    for top, left, down, right in passes:
        for row in pixels[top::down, left::right]:
            rows += [b"\0" + packed(row.ravel(), bits)] if row.size else []
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colour, 0, 0, int(interlaced))
    chunks = [chunk(b"IHDR", header)]
    if colour == 3:
        some = samples(1, 256, 3, 3, 2**bits).astype(np.uint8).tobytes()
        chunks.append(chunk(b"PLTE", some if palette is None else palette))
    chunks += [*before, chunk(b"IDAT", zlib.compress(b"".join(rows))), *after, chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def packed(row, bits, *, multiple=1):
    """Samples of 1 to 16 bits, high bits first, padded to a multiple of bytes."""
    if bits == 16:
        return row.astype(">u2").tobytes()
    every = (row[:, None] >> np.arange(bits)[::-1]) & 1
    line = np.packbits(every.astype(np.uint8)).tobytes()
    return line + bytes(-len(line) % multiple)


def raw_profile(data):
    """The text chunk in which ImageMagick writes EXIF data."""
    text = b"\nexif\n%8d\n" % len(data) + data.hex().encode() + b"\n"
    return chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


def xmp_text(data, compressed=False):
    body = zlib.compress(data) if compressed else data
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes([compressed, 0]) + b"\0\0" + body)


def png_files():
    files = {}
    for colour, depths in {
        0: (1, 2, 4, 8, 16),
        2: (8, 16),
        3: (1, 2, 4, 8),
        4: (8, 16),
        6: (8, 16),
    }.items():
        for bits, interlaced in itertools.product(depths, (False, True)):
            name = f"PNG colour {colour} of {bits} bits" + " interlaced" * interlaced
            files[name] = png(colour, bits, interlaced=interlaced)
    key = chunk(b"tRNS", struct.pack(">H", 1))
    files["PNG grey with a key"] = png(0, 8, before=[key])
    files["PNG 1 bit with a key"] = png(0, 1, before=[key])
    files["PNG 16 bit grey with a key"] = png(0, 16, before=[key])
    files["PNG RGB with a key"] = png(2, 8, before=[chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))])
    for bits in (1, 2, 4, 8):
        alpha = chunk(b"tRNS", bytes([0, 128])[: 2**bits])
        files[f"PNG palette of {bits} bits with alpha"] = png(3, bits, before=[alpha])
    files["PNG palette beyond its end"] = png(3, 8, palette=bytes(range(30)), levels=20)
    files["PNG grey palette"] = png(3, 8, palette=bytes(np.repeat(np.arange(256), 3).tolist()))
    for name, data in {
        "gamma": chunk(b"gAMA", struct.pack(">I", 100_000)),
        "significant bits": chunk(b"sBIT", bytes([3, 3, 3])),
        "background": chunk(b"bKGD", struct.pack(">3H", 9, 8, 7)),
        "chromaticity": chunk(b"cHRM", struct.pack(">8I", *range(10_000, 18_000, 1000))),
    }.items():
        files[f"PNG with {name}"] = png(2, 8, before=[data])
    for value, order in itertools.product(range(1, 9), "<>"):
        files[f"PNG eXIf {value} {order}"] = png(2, 8, before=[chunk(b"eXIf", exif(value, order))])
    six = chunk(b"eXIf", exif(6))
    files["PNG eXIf after the pixels"] = png(2, 8, after=[six])
    files["PNG eXIf with its prefix"] = png(2, 8, before=[chunk(b"eXIf", b"Exif\0\0" + exif(6))])
    files["PNG two eXIf"] = png(2, 8, before=[six], after=[chunk(b"eXIf", exif(8))])
    files["PNG raw profile"] = png(2, 8, before=[raw_profile(b"Exif\0\0" + exif(6))])
    files["PNG the word eXIf"] = png(2, 8, before=[chunk(b"tEXt", b"Comment\0no eXIf" + exif(6))])
    files["PNG XMP"] = png(2, 8, before=[xmp_text(xmp(6))])
    files["PNG XMP upright"] = png(2, 8, before=[xmp_text(xmp(1))])
    files["PNG XMP compressed"] = png(2, 8, before=[xmp_text(xmp(6), True)])
    files["PNG XMP and eXIf"] = png(2, 8, before=[xmp_text(xmp(6)), chunk(b"eXIf", exif(8))])
    files["PNG XMP and no orientation"] = png(
        2, 8, before=[xmp_text(xmp(6)), chunk(b"eXIf", exif(8, tag=0x0128))]
    )
    return files


# BMP


def bmp(
    bits,
    *,
    compression=0,
    masks=b"",
    data=None,
    colours=None,
    palette=None,
    top_down=False,
    header=40,
    pixels=None,
):
    """A BMP file of random samples with a header of 12, 40, 108 or 124 bytes."""
    if data is None:
        data = b"".join(bmp_rows(bits, pixels))
    n = (2**bits if bits <= 8 else 0) if colours is None else colours
    entry = 3 if header == 12 else 4
    if palette is None:
        palette = samples(entry, 256, 5, 1, n).astype(np.uint8).tobytes()
    if header == 12:
        info = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)
    else:
        height = -HEIGHT if top_down else HEIGHT
        info = struct.pack(
            "<IiiHHIIiiII",
            header,
            WIDTH,
            height,
            1,
            bits,
            compression,
            len(data),
            2835,
            2835,
            colours or 0,
            0,
        )
        info += masks
        info += bytes(max(0, header - len(info)))
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + info + palette + data


def bmp_rows(bits, pixels=None):
    values = samples(1, 2 ** min(bits, 8), 4)[..., 0] if pixels is None else pixels
    if bits <= 8:
        return [packed(row, bits, multiple=4) for row in values]
    rows = samples(bits // 8, 256, 4).astype(np.uint8).reshape(HEIGHT, -1)
    return [row.tobytes() + bytes(-row.size % 4) for row in rows]


def masks(*values):
    return struct.pack(f"<{len(values)}I", *values)


def rle(bits):
    """Runs of one colour each, a row of absolute pixels, and the end."""
    rows = [bytes([WIDTH, value, 0, 0]) for value in range(HEIGHT - 1)]
    n = WIDTH if bits == 8 else WIDTH // 2
    absolute = bytes([0, WIDTH]) + bytes(range(n)) + bytes(n % 2)
    return b"".join(rows) + absolute + bytes([0, 0, 0, 1])


def bmp_files():
    grey = bytes(np.repeat(np.arange(256), 4).reshape(256, 4).astype(np.uint8).ravel().tolist())
    bgr, bgra = (0xFF0000, 0xFF00, 0xFF), (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    files = {f"BMP of {bits} bits": bmp(bits) for bits in (1, 4, 8, 16, 24, 32)}
    files |= {f"BMP of {bits} bits top down": bmp(bits, top_down=True) for bits in (8, 24, 32)}
    files |= {f"BMP of OS/2, {bits} bits": bmp(bits, header=12) for bits in (1, 4, 8, 24)}
    files |= {
        f"BMP header {header}, {bits} bits": bmp(bits, header=header)
        for header in (108, 124)
        for bits in (8, 24, 32)
    }
    return {
        **files,
        "BMP grey palette": bmp(8, palette=grey),
        "BMP inverse palette": bmp(8, palette=grey[::-1][3:] + bytes(3)),
        "BMP of 20 colours": bmp(8, colours=20, pixels=samples(1, 20)[..., 0]),
        "BMP beyond its colours": bmp(8, colours=20, pixels=samples(1, 30)[..., 0]),
        "BMP of 300 colours": bmp(8, colours=300),
        "BMP 24 bits and colours": bmp(24, colours=7),
        "BMP 555 masks": bmp(16, compression=3, masks=masks(0x7C00, 0x3E0, 0x1F)),
        "BMP 565 masks": bmp(16, compression=3, masks=masks(0xF800, 0x7E0, 0x1F)),
        "BMP 32 masks": bmp(32, compression=3, masks=masks(*bgr)),
        "BMP 32 masks RGBA": bmp(32, compression=3, masks=masks(*bgra), header=124),
        "BMP 32 masks swapped": bmp(32, compression=3, masks=masks(*bgr[::-1])),
        "BMP 32 masks shifted": bmp(
            32, compression=3, masks=masks(0xFF000000, 0xFF0000, 0xFF00, 0xFF), header=124
        ),
        "BMP RLE 8": bmp(8, compression=1, data=rle(8)),
        "BMP RLE 4": bmp(4, compression=2, data=rle(4)),
        "BMP XMP": bmp(24) + xmp(6),
    }


# GIF


def gif(
    *,
    extensions=b"",
    box=(0, 0, WIDTH, HEIGHT),
    bits=3,
    local=False,
    shared=True,
    interlaced=False,
    screen=(WIDTH, HEIGHT),
    background=1,
    more=b"",
    grey=False,
    trailer=b";",
):
    """A GIF file of random indices, coded without compression."""
    table = samples(3, 256, 6, 1, 2**bits).astype(np.uint8)
    table = (np.repeat(table[..., :1], 3, axis=-1) if grey else table).tobytes()
    other = samples(3, 256, 7, 1, 2**bits).astype(np.uint8).tobytes()
    flags = (0x80 if shared else 0) | (bits - 1)
    head = b"GIF89a" + struct.pack("<HHBBB", *screen, flags, background, 0) + table * shared
    frame = b"," + struct.pack("<HHHHB", *box, local * 0x80 | interlaced * 0x40 | (bits - 1))
    indices = samples(1, 2**bits, 8, box[3], box[2]).ravel()
    return head + extensions + frame + other * local + lzw(indices, bits) + more + trailer


def lzw(indices, bits):
    """Codes of one pixel each; the table is cleared before its codes grow longer."""
    size = max(2, bits)
    clear, end = 2**size, 2**size + 1
    codes = []
    for i, index in enumerate(indices.tolist()):
        codes += [clear] * (i % (clear - 2) == 0) + [index]
    every = [code >> bit & 1 for code in [*codes, end] for bit in range(size + 1)]
    data = np.packbits(every, bitorder="little").tobytes()
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    return bytes([size]) + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"


def control(transparent=None, disposal=0):
    flags = disposal << 2 | (transparent is not None)
    return b"!\xf9\x04" + struct.pack("<BHBB", flags, 5, transparent or 0, 0)


def gif_files():
    loop = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    comment = b"!\xfe" + (b"\xff" + b"x" * 255) * 3 + b"\0"
    second = control(2) + gif()[13 + 24 : -1]
    files = {f"GIF of {bits} bits": gif(bits=bits) for bits in range(1, 9)}
    return {
        **files,
        "GIF 87": gif().replace(b"89a", b"87a"),
        "GIF transparent": gif(extensions=control(3)),
        "GIF transparent 0": gif(extensions=control(0)),
        "GIF transparent, 1 bit": gif(extensions=control(1), bits=1),
        "GIF transparent after others": gif(extensions=loop + comment + control(3) + comment),
        "GIF two controls": gif(extensions=control(2) + control(5)),
        "GIF control without transparency": gif(extensions=control(None, 2)),
        "GIF local colours": gif(local=True),
        "GIF only local colours": gif(local=True, shared=False),
        "GIF transparent, local colours": gif(local=True, extensions=control(3)),
        "GIF no colours": gif(shared=False),
        "GIF grey": gif(grey=True),
        "GIF interlaced": gif(interlaced=True),
        "GIF small frame": gif(box=(2, 3, 7, 5)),
        "GIF small frame, transparent": gif(box=(2, 3, 7, 5), extensions=control(3)),
        "GIF wide screen": gif(screen=(WIDTH + 5, HEIGHT)),
        "GIF large frame": gif(screen=(WIDTH - 5, HEIGHT - 2)),
        "GIF no screen": gif(screen=(0, 0)),
        "GIF animated": gif(extensions=loop + control(None), more=second),
        "GIF animated, transparent": gif(extensions=loop + control(1, 2), more=second),
        "GIF without end": gif(trailer=b""),
        "GIF with more after its end": gif(more=b";junk"),
        "GIF XMP": gif(
            extensions=b"!\xff\x0bXMP DataXMP"
            + xmp(6)
            + b"\x01"
            + bytes(range(255, -1, -1))
            + b"\0"
        ),
    }


# JPEG


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments, image=None, **options):
    """A JPEG file with other segments before its own."""
    plain = encoded(image or smooth(), "JPEG", **options)
    return plain[:2] + b"".join(segments) + plain[2:]


def with_transform(content, value):
    """The same JPEG file whose Adobe segment says RGB or CMYK (0), YCC (1) or YCCK (2)."""
    at = content.index(b"Adobe") + 11
    return content[:at] + bytes([value]) + content[at + 1 :]


def without_adobe(content):
    at = content.index(b"Adobe") - 4
    return content[:at] + content[at + 16 :]


def app1(data):
    return segment(0xE1, b"Exif\0\0" + data)


def xmp_segment(data):
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + data)


def jpeg_files():
    cmyk, rgb = jpeg(image=smooth("CMYK")), jpeg(keep_rgb=True)
    plain, six = jpeg(), app1(exif(6))
    icc = segment(0xE2, b"ICC_PROFILE\0\1\4" + bytes(65_000))
    return {
        **{f"JPEG subsampling {i}": jpeg(subsampling=i, quality=60) for i in range(3)},
        "JPEG progressive": jpeg(progressive=True, subsampling=2),
        "JPEG restarts": jpeg(restart_marker_blocks=1),
        "JPEG grey": jpeg(image=smooth("L")),
        "JPEG grey progressive": jpeg(image=smooth("L"), progressive=True),
        "JPEG RGB": rgb,
        "JPEG RGB progressive": jpeg(keep_rgb=True, progressive=True),
        "JPEG CMYK": cmyk,
        "JPEG CMYK progressive": jpeg(image=smooth("CMYK"), progressive=True),
        "JPEG YCCK": with_transform(cmyk, 2),
        "JPEG CMYK not of Adobe": without_adobe(cmyk),
        "JPEG more pictures": encoded(
            smooth(), "MPO", save_all=True, append_images=[smooth(seed=1)]
        ),
        "JPEG EXIF far behind": jpeg(icc, icc, icc, six),
        "JPEG EXIF and MPO": jpeg(six, segment(0xE2, b"MPF\0" + bytes(40))),
        "JPEG EXIF of a long": jpeg(app1(exif(6, kind=LONG))),
        "JPEG EXIF of a byte": jpeg(app1(exif(6, kind=BYTE))),
        "JPEG EXIF big endian long": jpeg(app1(exif(6, ">", kind=LONG))),
        "JPEG EXIF of two values": jpeg(app1(exif(6, count=2))),
        "JPEG EXIF of no value": jpeg(app1(exif(6, count=0))),
        "JPEG EXIF twice in one": jpeg(app1(exif(6, first=8))),
        "JPEG EXIF of two segments": jpeg(app1(exif(8)), six),
        "JPEG EXIF prefix twice": jpeg(app1(b"Exif\0\0" + exif(6))),
        "JPEG EXIF of no TIFF": jpeg(app1(b"XX*\0" + exif(6)[4:])),
        "JPEG EXIF big TIFF": jpeg(app1(b"II+\0" + exif(6)[4:])),
        "JPEG EXIF odd order": jpeg(app1(b"MM*\0" + exif(6, ">")[4:])),
        "JPEG EXIF after the file": plain + six,
        "JPEG filled": jpeg(b"\xff\xff\xff", six),
        "JPEG junk before EXIF": jpeg(b"\0\0\0", six),
        "JPEG XMP": jpeg(xmp_segment(xmp(6))),
        "JPEG XMP element": jpeg(xmp_segment(xmp(6, "><tiff:Orientation>%d<"))),
        "JPEG XMP upright": jpeg(xmp_segment(xmp(1))),
        "JPEG XMP and EXIF": jpeg(xmp_segment(xmp(3)), six),
        "JPEG XMP and no orientation": jpeg(xmp_segment(xmp(6)), app1(exif(3, tag=0x0128))),
        "JPEG XMP and orientation 0": jpeg(xmp_segment(xmp(6)), app1(exif(0))),
        "JPEG Photoshop": jpeg(segment(0xED, b"Photoshop 3.0\0" + xmp(1))),
    }


# WebP


def riff(*chunks):
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp(*, image=None, metadata=(), flags=0, canvas=(WIDTH, HEIGHT), **options):
    """A WebP file in the extended form, with these chunks of metadata behind the pixels."""
    plain = encoded(image or smooth(), "WEBP", **options)
    alpha = 0x10 if (image or smooth()).mode == "RGBA" else 0
    size = b"".join(struct.pack("<I", side - 1)[:3] for side in canvas)
    start = 12 if plain[12:16] != b"VP8X" else 30
    n = struct.unpack("<I", plain[start + 4 : start + 8])[0]
    picture = (plain[start : start + 4], plain[start + 8 : start + 8 + n])
    return riff((b"VP8X", bytes([flags | alpha, 0, 0, 0]) + size), picture, *metadata)


def webp_files():
    exif_flag, xmp_flag = 0x08, 0x04
    files = {}
    for value in range(1, 9):
        files[f"WebP EXIF {value}"] = webp(metadata=[(b"EXIF", exif(value))], flags=exif_flag)
    frames = {"save_all": True, "append_images": [with_alpha("LA").convert("RGBA")]}
    animated = encoded(with_alpha(), "WEBP", **frames)
    return {
        **files,
        "WebP of Pillow": encoded(smooth(), "WEBP", exif=exif(6)),
        "WebP lossless EXIF": webp(
            metadata=[(b"EXIF", exif(6, ">"))], flags=exif_flag, lossless=True
        ),
        "WebP RGBA EXIF": webp(
            image=with_alpha(),
            metadata=[(b"EXIF", exif(6))],
            flags=exif_flag,
            lossless=True,
            exact=True,
        ),
        "WebP animated EXIF": encoded(with_alpha(), "WEBP", exif=exif(6), **frames),
        "WebP animated": animated,
        "WebP EXIF with its prefix": webp(
            metadata=[(b"EXIF", b"Exif\0\0" + exif(6))], flags=exif_flag
        ),
        "WebP EXIF without its flag": webp(metadata=[(b"EXIF", exif(6))]),
        "WebP two EXIF": webp(metadata=[(b"EXIF", exif(6)), (b"EXIF", exif(8))], flags=exif_flag),
        "WebP XMP": webp(metadata=[(b"XMP ", xmp(6))], flags=xmp_flag),
        "WebP XMP without its flag": webp(metadata=[(b"XMP ", xmp(6))]),
        "WebP XMP upright": webp(metadata=[(b"XMP ", xmp(1))], flags=xmp_flag),
        "WebP lossy": encoded(smooth(), "WEBP"),
        "WebP RGBA lossy": encoded(with_alpha(), "WEBP", exact=True),
        "WebP hidden colours": encoded(with_alpha(), "WEBP", lossless=True, exact=True),
        "WebP wrong canvas": webp(canvas=(WIDTH + 4, HEIGHT)),
    }


def other_files():
    kinds = ["TIFF", "PPM", "ICO", "TGA", "PCX", "SGI", "DIB", "JPEG2000", "AVIF"]
    return {kind: encoded(smooth(), kind) for kind in kinds}


def damaged_files():
    """Files with a fault outside of the pixels, and one GIF file with a code that means nothing."""
    text = png(2, 8, before=[chunk(b"tEXt", b"Comment\0" + 5000 * b"no word")])
    bitmap, six = bmp(24), webp(metadata=[(b"EXIF", exif(6))], flags=0x08)
    return {
        "PNG damaged text": text.replace(b"word", b"wood", 1),
        "PNG damaged eXIf": png(2, 8, before=[chunk(b"eXIf", exif(6))]).replace(exif(6), exif(8)),
        "BMP header of no length": bitmap[:14] + struct.pack("<I", 60) + bitmap[18:],
        "BMP header beyond the end": bmp(24, header=124, data=b"")[:130],
        "WebP chunks out of step": six.replace(b"EXIF", b"\0EXIF"),
        "WebP chunk beyond the end": six.replace(b"EXIF", b"EXIF\0\1", 1)[: len(six)],
        "WebP cut off": six[:-3],
        "GIF damaged code": gif(grey=True).replace(b"\x83\x43\x51", b"\x83\xf4\x51"),
    }


FILES = {
    **png_files(),
    **bmp_files(),
    **gif_files(),
    **jpeg_files(),
    **webp_files(),
    **other_files(),
    **damaged_files(),
}
