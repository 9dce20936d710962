"""Reading sound files."""

from __future__ import annotations

import array
import sys
import wave
from os import PathLike

__all__ = ["load"]


def load(path: PathLike[str] | str) -> tuple[list[list[float]], float]:
    """The samples of a WAV file, from -1 to 1, one list a channel, and frames per second.

    Raises `wave.Error` for other files, and for samples that are not integers.
    """
    with wave.open(str(path), "rb") as file:
        count, width, rate, frame_count, *_ = file.getparams()
        data = file.readframes(frame_count)
    if width == 3:
        # Each sample becomes the three upper bytes of four.
        wide = bytearray(len(data) // 3 * 4)
        for offset in range(3):
            wide[offset + 1 :: 4] = data[offset::3]
        data, width = bytes(wide), 4
    if width == 1:
        values = [(value - 128) / 128 for value in data]
    else:
        samples = array.array({2: "h", 4: "i"}[width], data)
        if sys.byteorder == "big":
            samples.byteswap()
        scale = float(1 << (8 * width - 1))
        values = [value / scale for value in samples]
    return [values[channel::count] for channel in range(count)], float(rate)
