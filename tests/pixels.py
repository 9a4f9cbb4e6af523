"""What a point of a coloured picture is."""

from PIL import Image


def rgb(image: Image.Image, point: tuple[int, int]) -> tuple[int, ...]:
    """The channels at `point`, 0–255. Fails for a picture of one channel."""
    found = image.getpixel(point)
    assert isinstance(found, tuple)
    return found
