"""Black print under coloured ink, such as a stamp's: the picture in which the coloured ink has faded.

Coloured ink is bright in one of its channels; black is dark in all. NumPy only.
"""

from __future__ import annotations

import numpy as np

from airgap.layout.quads import Picture

_DARK, _COLOURED, _BRIGHT = 100, 60, 130
"""Grey levels: black ink is at most so bright in any channel; coloured ink has channels so far apart, and
one of them is so bright."""
_LEAST = 0.01
"""Share of the picture that each of the two inks has to make."""


def without_coloured_ink(pixels: Picture) -> Picture | None:
    """The picture by its brightest channel; None where it does not hold black and coloured ink."""
    brightest, darkest = pixels.max(axis=2), pixels.min(axis=2)
    coloured = (brightest.astype(np.int16) - darkest > _COLOURED) & (brightest > _BRIGHT)
    few = _LEAST * brightest.size
    if np.count_nonzero(coloured) < few or np.count_nonzero(brightest < _DARK) < few:
        return None
    return np.repeat(brightest[..., None], 3, axis=2)
