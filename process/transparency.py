"""On what paper a picture with transparent parts lies, so that what is drawn on it can be seen.

White, as everywhere, but where light strokes border on nothing: these would be white on white.
"""

from __future__ import annotations

from PIL import Image

_SAMPLE_SIDE = 1500
"""Pixels up to which a picture is looked at as it is; of larger ones, so many each way are."""

_OPAQUE, _LIGHT, _DARK, _EDGE = 128, 200, 100, 60
_LOST = 0.1
"""Share of all edges that would be lost on white, or on black, from which another paper is taken."""

_BLACK, _GREY = (0, 0, 0), (128, 128, 128)


def on_paper(image: Image.Image) -> Image.Image:
    """An RGBA picture as RGB."""
    paper = Image.new("RGB", image.size, _paper(image))
    paper.paste(image, mask=image)
    return paper


def _paper(image: Image.Image) -> tuple[int, int, int] | str:
    lowest, _ = image.getchannel("A").getextrema()
    if isinstance(lowest, tuple) or lowest >= _OPAQUE:
        return "white"
    light, dark, inner = _edges(image)
    if light <= _LOST * (light + dark + inner):
        return "white"
    return _BLACK if dark <= _LOST * light else _GREY


def _edges(image: Image.Image) -> tuple[int, int, int]:
    """How often light and dark pixels border on nothing, and clearly different ones on each other."""
    import numpy as np  # takes longer to import than most pictures to decode

    size = (min(image.width, _SAMPLE_SIDE), min(image.height, _SAMPLE_SIDE))
    sample = image.resize(size, Image.Resampling.NEAREST)
    opaque = np.asarray(sample.getchannel("A")) >= _OPAQUE
    grey = np.asarray(sample.convert("RGB").convert("L")).astype(np.int16)
    light = dark = inner = 0
    for axis in (0, 1):
        for one, other in (((0, -1), (1, None)), ((1, None), (0, -1))):
            here = tuple(slice(*one) if a == axis else slice(None) for a in (0, 1))
            there = tuple(slice(*other) if a == axis else slice(None) for a in (0, 1))
            edge = opaque[here] & ~opaque[there]
            light += int((edge & (grey[here] >= _LIGHT)).sum())
            dark += int((edge & (grey[here] < _DARK)).sum())
            both = opaque[here] & opaque[there]
            inner += int((both & (grey[here] - grey[there] > _EDGE)).sum())
    return light, dark, inner
