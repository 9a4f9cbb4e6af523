"""Files made to cost a server far more than they cost their sender."""

from __future__ import annotations

import struct
import zlib


def gif_of_dots(width: int, height: int, frames: int) -> bytes:
    """Frames of one pixel on a large canvas, each of which is drawn over all of it."""
    data = bytearray(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff")
    for index in range(frames):
        data += b"\x21\xf9\x04" + bytes([2 << 2]) + b"\0\0\0\0"
        data += b"\x2c" + struct.pack("<HHHHB", index % 50, index // 50 % 50, 1, 1, 0)
        data += b"\x02\x02\x44\x01\0"
    return bytes(data + b"\x3b")


def jpeg_of_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG of one colour whose every scan says that nothing changes."""
    blocks = ((side + 7) // 8) ** 2
    one_code = bytes([1] + [0] * 15)
    data = b"\xff\xd8\xff\xdb" + struct.pack(">HB", 67, 0) + b"\1" * 64
    data += b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, side, side, 1) + bytes([1, 0x11, 0])
    data += b"\xff\xc4" + struct.pack(">HB", 20, 0x00) + one_code + b"\0"  # no difference
    data += b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + one_code + b"\xe0"  # a run of empty blocks
    bits, left = "", blocks
    while left > 0:
        run = max(16_384, min(left, 32_767))
        bits += "0" + format(run - 16_384, "014b")
        left -= run
    return data + _scan(0, 0, "0" * blocks) + _scan(1, 63, bits) * scans + b"\xff\xd9"


def _scan(first: int, last: int, bits: str) -> bytes:
    bits += "1" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, first, last, 0]) + packed


def webp_canvas(width: int, height: int) -> bytes:
    """A WebP that is an announcement of its canvas and nothing else."""
    chunk = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0"
    chunk += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def white_png(width: int, height: int) -> bytes:
    """One bit a pixel, all white: 100 megapixels in some 13 kB."""
    packer = zlib.compressobj(9)
    row = b"\0" + b"\xff" * (width // 8)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = b"".join(_chunk(*one) for one in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
