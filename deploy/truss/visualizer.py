"""Pictures of what was read: boxes on the page, and the figures of plane geometry.

    result = DeepSeekOCRVisualizer().create_visualization(image, answer)
    Path("boxes.png").write_bytes(base64.b64decode(result["visualization"]))

It runs from its place in the project's folder, and elsewhere where that folder is on PYTHONPATH; of other
packages it needs Pillow, and matplotlib for geometry. What the model wrote is parsed within bounds and
never evaluated.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

if importlib.util.find_spec("deepseek_ocr") is None:
    sys.path.append(str(Path(__file__).resolve().parents[2]))

import deepseek_ocr
from airgap.exporters.annotated import annotate
from airgap.models.deepseek_geometry import Geometry, Point, parse_geometry

AXES = 15.0
"""Geometry is drawn from -15 to 15, as the model was taught, and wider only where it must."""


class DeepSeekOCRVisualizer:
    """Draws answers of the Truss, or of `POST /ocr`: both have `raw_output`."""

    def create_visualization(self, image: Image.Image, ocr_result: Mapping[str, Any]) -> dict[str, Any]:
        """`visualization` is a base64 PNG of `image` with every box and its label.

        `geometric_visualization` is a base64 PNG of the lines, circles and points in the answer to "Parse
        the figure.", or None. `has_bounding_boxes` and `has_geometric_elements` say what there was. Raises
        `ImportError` for geometry without matplotlib.
        """
        raw = str(ocr_result.get("raw_output") or ocr_result.get("extracted_text") or "")
        picture = image.convert("RGB")
        blocks = deepseek_ocr.parse(raw, *picture.size).blocks
        geometry = parse_geometry(raw)
        return {
            "visualization": _base64_png(annotate(picture, blocks)),
            "geometric_visualization": draw_geometry(geometry) if geometry else None,
            "has_bounding_boxes": any(block.boxes for block in blocks),
            "has_geometric_elements": geometry is not None,
        }


def draw_geometry(geometry: Geometry) -> str:
    """The figure as a base64 PNG, 600 pixels wide: lines with their ends, circles, points with names."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    figure = Figure(figsize=(3, 3), dpi=200, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    reach = _reach(geometry)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    for segment in geometry.segments:
        ends = (segment.start, segment.end)
        axes.plot([p.x for p in ends], [p.y for p in ends], "o-", color="black", linewidth=0.8, markersize=2)
    for circle in geometry.circles:
        centre = (circle.center.x, circle.center.y)
        axes.add_patch(Circle(centre, circle.radius, fill=False, edgecolor="black", linewidth=0.8))
        axes.plot(*centre, "+", color="black", markersize=3)
    for point in _named_points(geometry):
        axes.plot(point.x, point.y, "o", color="black", markersize=2)
        axes.annotate(
            point.name,
            (point.x, point.y),
            xytext=(2, 2),
            textcoords="offset points",
            fontsize=5,
            parse_math=False,
        )
    buffer = io.BytesIO()
    canvas.print_png(buffer)  # type: ignore[no-untyped-call]
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _named_points(geometry: Geometry) -> list[Point]:
    centres = [circle.center for circle in geometry.circles if circle.center.name]
    return [*geometry.points, *centres]


def _reach(geometry: Geometry) -> float:
    points = [*geometry.points, *(end for s in geometry.segments for end in (s.start, s.end))]
    far = [max(abs(p.x), abs(p.y)) for p in points]
    far += [max(abs(c.center.x), abs(c.center.y)) + c.radius for c in geometry.circles]
    return max([AXES, *(1.05 * distance for distance in far)])


def _base64_png(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
