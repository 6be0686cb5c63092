"""TIFF files tag by tag, so that a test can leave out or add what other programs leave out or add."""

import struct

BYTE, ASCII, SHORT, LONG, RATIONAL, DOUBLE = 1, 2, 3, 4, 5, 12
_LETTERS = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "I", DOUBLE: "d"}
OFFSETS, COUNTS = 273, 279  # tags that are filled in with where the strips lie


def grey_tags(image, **more) -> dict:
    """The tags that the TIFF standard asks for of a grey picture, {code: (kind, numbers)}; Compression is none of them.

    Args:
        image: [H, W] of an unsigned type.
        more: tags to add or, where None, to leave out, by "t" and the code: t259=(SHORT, [1]).
    """
    height, width = image.shape[-2:]
    tags = {256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [8 * image.itemsize]), 262: (SHORT, [1]),
            277: (SHORT, [1]), 278: (LONG, [height])}
    tags |= {int(name[1:]): value for name, value in more.items()}
    return {code: value for code, value in tags.items() if value is not None}


def write(path, pages, order: str = "<", preamble: bytes = b"") -> list[int]:
    """Write a TIFF and say where its directories lie.

    Args:
        path: the file.
        pages: for each directory (tags, strips): tags {code: (kind, numbers)} or {code: (kind, count, content)}, where
            content is bytes or a function of the place of the bytes in the file; strips are arrays.
        order: "<" little, ">" big endian.
        preamble: what lies between the header and the first directory.
    """
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(preamble)) + preamble)
    places = []
    for number, (tags, strips) in enumerate(pages):
        places.append(len(data))
        _page(data, dict(tags), [_stored(strip, order) for strip in strips], order, number == len(pages) - 1)
    path.write_bytes(bytes(data))
    return places


def _stored(strip, order):
    return strip.astype(strip.dtype.newbyteorder(order)).tobytes()


def _page(data, tags, strips, order, is_last):
    tags[OFFSETS] = (LONG, [0] * len(strips))
    tags[COUNTS] = (LONG, [len(strip) for strip in strips])
    start = len(data)
    data += bytes(2 + 12 * len(tags) + 4)
    places = []
    for strip in strips:
        places.append(len(data))
        data += strip
    tags[OFFSETS] = (LONG, places)
    entries = b"".join(_entry(data, code, tags[code], order) for code in sorted(tags))
    following = 0 if is_last else len(data)
    data[start:start + 2 + len(entries) + 4] = (struct.pack(order + "H", len(tags)) + entries
                                                + struct.pack(order + "I", following))


def _entry(data, code, tag, order):
    if len(tag) == 2:
        kind, content = tag
        count = len(content) // (2 if kind == RATIONAL else 1)
        content = content if kind == ASCII else struct.pack(f"{order}{len(content)}{_LETTERS[kind]}", *content)
    else:
        kind, count, content = tag
        content = content(len(data)) if callable(content) else content
    head = struct.pack(order + "HHI", code, kind, count)
    if len(content) <= 4:
        return head + content.ljust(4, b"\0")
    place = len(data)
    data += content
    return head + struct.pack(order + "I", place)
