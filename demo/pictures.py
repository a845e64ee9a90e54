"""Small real pictures, so that a page has something to show and to download."""

import struct
import zlib

import numpy as np

PICTURE_SIDE = 64
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(number: int) -> bytes:
    """A valid RGB PNG of 64 by 64 pixels: two crossing waves whose colours depend on the number."""
    axis = np.linspace(0, 2 * np.pi, PICTURE_SIDE)
    phase = number * 0.7
    wave = np.sin(axis[:, None] * (1 + number % 3) + phase) + np.cos(axis[None, :] * (1 + number % 4) - phase)
    channels = [127 + 60 * np.sin(wave * 1.5 + phase + shift) for shift in (0.0, 2.1, 4.2)]
    pixels = np.stack(channels, axis=-1).astype(np.uint8)
    # Each row begins with its filter type, 0 = none.
    rows = np.concatenate([np.zeros((PICTURE_SIDE, 1), np.uint8), pixels.reshape(PICTURE_SIDE, -1)], axis=1)
    header = struct.pack(">IIBBBBB", PICTURE_SIDE, PICTURE_SIDE, 8, 2, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 9)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))
