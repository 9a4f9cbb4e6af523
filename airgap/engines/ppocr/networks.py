"""The two PP-OCRv6 networks that lie in the rapidocr wheel, without rapidocr's pipeline around them.

Nothing is ever downloaded. Importing this module loads no network; `load_networks` does.
Pictures are uint8 BGR, shape (height, width, 3), the channel order that PP-OCR was trained on.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from airgap.core.errors import EngineUnavailable
from airgap.engines.ppocr.alphabet import bare, is_doubtful
from airgap.engines.ppocr.strips import STRIP_HEIGHT
from airgap.layout.lines import Reading
from airgap.layout.quads import Picture, Quads

T = TypeVar("T")

DETECTOR_FILE = "PP-OCRv6_det_small.onnx"
RECOGNIZER_FILE = "PP-OCRv6_rec_small.onnx"
MODEL_NAME = "PP-OCRv6-small"

LIGHT = frozenset(" .,:;'`\"·-–—")
"""What is read where there is hardly any ink, or of letters in another script; fillers (`<`) are none."""
SILENT = 1.5
"""Strip heights without a letter from which a stretch of a line is told apart: a wide character has one."""


def model_directory() -> Path:
    """Where the installed rapidocr wheel keeps its models. Raises `EngineUnavailable`."""
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise EngineUnavailable(
            "The package rapidocr, which holds the OCR models, is not installed.",
            "Install it: pip install -r requirements.txt",
        )
    return Path(spec.origin).parent / "models"


def model_digest(folder: Path, others: Sequence[Path] = ()) -> str:
    """SHA-256, in hexadecimal, over the files of both networks and `others`, one after the other."""
    digest = hashlib.sha256()
    for path in (folder / DETECTOR_FILE, folder / RECOGNIZER_FILE, *others):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_model(path: Path) -> bytes:
    """The bytes of a model, its subnormal weights zeroed. Raises `EngineUnavailable`."""
    try:
        return flush_subnormals(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineUnavailable(
            f"The model file {path.name} is missing or damaged in the installed rapidocr package.",
            "Reinstall it: pip install --force-reinstall --no-deps rapidocr==3.10.0",
        ) from error


def flush_subnormals(model: bytes) -> bytes:
    """Zero the subnormal float32 weights of an ONNX file, found by walking its protobuf fields.

    A tenth of the detector's weights are subnormal. They change no output, but convolutions on
    them fall off the processor's fast path, which makes detection about three times slower.
    Field numbers are those of onnx.proto3: ModelProto.graph 7, GraphProto.initializer 5,
    TensorProto.data_type 2 (FLOAT is 1), TensorProto.raw_data 9. Raises `ValueError` on other bytes.
    """
    data = bytearray(model)
    try:
        for start, end in _weight_spans(data):
            words = np.frombuffer(data, np.uint32, (end - start) // 4, start)
            words[((words & 0x7F800000) == 0) & ((words & 0x007FFFFF) != 0)] = 0
    except IndexError as error:
        raise ValueError("not an ONNX file: it ends inside a field") from error
    return bytes(data)


def _weight_spans(data: bytearray) -> Iterator[tuple[int, int]]:
    for graph, _, graph_start, graph_end in _fields(data, 0, len(data)):
        if graph != 7:
            continue
        for initializer, _, start, end in _fields(data, graph_start, graph_end):
            if initializer != 5:
                continue
            data_type, raw = 0, (0, 0)
            for number, value, field_start, field_end in _fields(data, start, end):
                if number == 2:
                    data_type = value
                elif number == 9:
                    raw = (field_start, field_end)
            if data_type == 1 and raw[1] > raw[0]:
                yield raw


def _fields(data: bytearray, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Protobuf fields as (number, varint value or 0, start of the payload, end of the payload)."""
    position = start
    while position < end:
        key, position = _varint(data, position)
        number, wire_type = key >> 3, key & 7
        value, stop = 0, position
        if wire_type == 0:
            value, stop = _varint(data, position)
        elif wire_type == 1:
            stop = position + 8
        elif wire_type == 5:
            stop = position + 4
        elif wire_type == 2:
            length, position = _varint(data, position)
            stop = position + length
        else:
            raise ValueError(f"not an ONNX file: wire type {wire_type}")
        if stop > end:
            raise ValueError("not an ONNX file: a field runs past its parent")
        yield number, value, position, stop
        position = stop


def _varint(data: bytearray, position: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7


class Network:
    """A model compiled for this processor, its runs shared out over `threads` cores, `streams` at once.

    In bfloat16 where the processor multiplies it (AVX-512 BF16, AMX), which halves the time; else, and where
    `exact`, in float32. `run` may be called from any thread. `model`: the bytes of an ONNX file, or an
    OpenVINO model's `.xml`.
    """

    def __init__(self, model: bytes | Path, threads: int, streams: int, exact: bool = False) -> None:
        # Else `import openvino` alone sends a report to its maker; without the module it has a stand-in.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino

        core = openvino.Core()
        fast = not exact and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._model = core.read_model(model)
        compiled = core.compile_model(
            self._model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if fast else "f32",
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": streams,
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())

    @property
    def characters(self) -> list[str]:
        """The alphabet that the file carries in its metadata; empty where it names none."""
        path = ["framework", "character"]
        known = self._model.has_rt_info(path)
        return str(self._model.get_rt_info(path).astype(str)).splitlines() if known else []

    @property
    def inputs(self) -> set[str]:
        """What the model asks for, by name."""
        return {port.any_name for port in self._model.inputs}

    def run(self, blob: NDArray[Any], digest: Callable[[NDArray[Any]], T]) -> T:
        """What `digest` makes of the network's first output for a batch of one; keeps no view of it."""
        return self.run_all(blob, lambda outputs: digest(outputs[0]))

    def run_all(self, blob: NDArray[Any], digest: Callable[[list[NDArray[Any]]], T]) -> T:
        """What `digest` makes of all outputs for a batch of one; it must keep no view of them."""
        request = self._requests.get()
        try:
            results = request.infer([blob], share_inputs=True, share_outputs=True)
            return digest([output[0] for output in results.values()])
        finally:
            self._requests.put(request)

    def answer(self, named: dict[str, NDArray[Any]], output: str, digest: Callable[[NDArray[Any]], T]) -> T:
        """What `digest` makes of one output, by its name, for inputs by theirs; it keeps no view of it."""
        request = self._requests.get()
        try:
            return digest(request.infer(named, share_inputs=True, share_outputs=True)[output])
        finally:
            self._requests.put(request)


class TextDetector:
    """DB (Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", 2020).

    The network gives the probability that a pixel belongs to the shrunken core of a text line.
    Thresholds are those of PaddleOCR's configuration for PP-OCRv6.
    """

    PIXEL_THRESHOLD = 0.3
    BOX_THRESHOLD = 0.5
    UNCLIP_RATIO = 1.6
    MAX_LINES = 4000
    MIN_SIDE = 64

    def __init__(self, model: bytes, threads: int) -> None:
        self._network = Network(model, threads, streams=1)

    def probabilities(self, picture: Picture, long_side: int) -> NDArray[Any]:
        """The network's map for the picture scaled to `long_side`; enlarged only to reach `MIN_SIDE`."""
        import cv2

        height, width = picture.shape[:2]
        scale = min(1.0, long_side / max(height, width))
        enlarged = min(self.MIN_SIDE / min(height, width), long_side / max(height, width))
        scale = max(scale, enlarged)
        size = tuple(max(32, round(side * scale / 32) * 32) for side in (width, height))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = cv2.resize(picture, size, interpolation=method)
        blob = cv2.dnn.blobFromImage(scaled, 1 / 127.5, mean=(127.5, 127.5, 127.5))
        return self._network.run(blob, lambda output: output[0].copy())

    def detect(self, picture: Picture, long_side: int) -> Quads:
        """The text lines of a picture, as quadrilaterals in its pixels."""
        return self.quads(self.probabilities(picture, long_side), picture.shape[1], picture.shape[0])

    def quads(self, probabilities: NDArray[Any], width: int, height: int) -> Quads:
        """Lines in a probability map, scaled to a picture of `width` × `height`."""
        import cv2

        above = (probabilities > self.PIXEL_THRESHOLD).astype(np.uint8)
        mask = cv2.dilate(above, np.ones((2, 2), np.uint8))
        contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        scale = np.array([width / mask.shape[1], height / mask.shape[0]], np.float32)
        limit = np.array([width, height], np.float32)
        quads = []
        for contour in contours[: self.MAX_LINES]:
            centre, (side_a, side_b), angle = cv2.minAreaRect(contour)
            if min(side_a, side_b) < 3:
                continue
            # Over the contour, not its rectangle, of which a long line that is a bit bent fills too little.
            if _mean_inside(probabilities, contour[:, 0]) < self.BOX_THRESHOLD:
                continue
            # The paper's offset distance, area × ratio / perimeter; a rectangle grows by it on each side.
            grow = side_a * side_b * self.UNCLIP_RATIO / (side_a + side_b)
            corners = cv2.boxPoints((centre, (side_a + grow, side_b + grow), angle))
            quads.append(np.clip(np.round(_clockwise(corners) * scale), 0, limit))
        return np.array(quads, np.float32).reshape(-1, 4, 2)


def _mean_inside(probabilities: NDArray[Any], polygon: NDArray[Any]) -> float:
    """Mean probability within a polygon of (n, 2) x, y."""
    import cv2

    height, width = probabilities.shape
    x0, y0 = np.clip(polygon.min(axis=0), 0, (width - 1, height - 1))
    x1, y1 = np.clip(polygon.max(axis=0), 0, (width - 1, height - 1))
    inside = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
    cv2.fillPoly(inside, [(polygon - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(probabilities[y0 : y1 + 1, x0 : x1 + 1], inside)[0])


def _clockwise(corners: NDArray[Any]) -> NDArray[Any]:
    """Top left, top right, bottom right, bottom left."""
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1], kind="stable")]
    top_right, bottom_right = right[np.argsort(right[:, 1], kind="stable")]
    return np.stack([top_left, top_right, bottom_right, bottom_left])


class TextRecognizer:
    """SVTR-style line recognizer with a CTC head; reads one strip at a time, from any thread."""

    def __init__(self, model: bytes, threads: int) -> None:
        self._network = Network(model, threads, streams=threads)
        characters = self._network.characters
        if not characters:
            raise EngineUnavailable(
                f"The model {RECOGNIZER_FILE} does not name its characters.",
                "Reinstall it: pip install --force-reinstall --no-deps rapidocr==3.10.0",
            )
        self._characters = np.array(["", *characters, " "])
        index = {character: number for number, character in enumerate(characters, 1)}
        # Where an accented letter's own number stands, that of its bare one; 0 for all others.
        self._bare = np.array([0, *(index.get(bare(c) or "", 0) for c in characters), 0])
        self._is_letter = np.array([False, *(c not in LIGHT for c in characters), False])

    def read(self, strip: Picture) -> Reading:
        """The text of one strip of `STRIP_HEIGHT` pixels."""
        width = strip.shape[1]
        # Every new width costs 20 ms and some megabytes once: the kernels are compiled for it.
        step = 32 if width <= 1024 else 128
        padded = np.zeros((1, 3, STRIP_HEIGHT, max(64, -(-width // step) * step)), np.float32)
        padded[0, :, :, :width] = strip.transpose(2, 0, 1)
        padded[0, :, :, :width] -= 127.5
        padded /= 127.5
        return self._network.run(padded, lambda steps: self._decode(steps, padded.shape[3], width))

    def _decode(self, steps: NDArray[Any], padded: int, width: int) -> Reading:
        """Greedy CTC over the probabilities, shape (steps, characters), of which the first is the blank.

        The steps are those of a strip `width` pixels wide, padded to `padded`.
        """
        best = steps.argmax(axis=1)
        kept = (best != 0) & np.r_[True, best[1:] != best[:-1]]
        if not kept.any():
            return Reading("", 0.0)
        read, probabilities = best[kept], steps[kept, best[kept]]
        text = "".join(self._characters[read]).strip()
        silent = _silent((np.flatnonzero(kept)[self._is_letter[read]] + 0.5) * padded / len(steps), width)
        return Reading(text, float(probabilities.mean()), self._plain(steps[kept], read, text), silent)

    def _plain(self, steps: NDArray[Any], read: NDArray[Any], text: str) -> str | None:
        """The text without its doubtful accents, if it has any."""
        plain = read.copy()
        for place in np.flatnonzero(self._bare[read]):
            letter = self._bare[read[place]]
            if is_doubtful(steps[place, read[place]], steps[place, letter]):
                plain[place] = letter
        found = "".join(self._characters[plain]).strip()
        return found if found != text else None


def _silent(letters: NDArray[Any], width: int) -> tuple[tuple[float, float], ...]:
    """The stretches of a strip `width` pixels wide that hold none of its letters, given by their x."""
    edges = np.r_[0.0, np.minimum(letters, width), width]
    wide = np.flatnonzero(np.diff(edges) > SILENT * STRIP_HEIGHT)
    return tuple((float(edges[at] / width), float(edges[at + 1] / width)) for at in wide)


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks, loaded."""

    detector: TextDetector
    recognizer: TextRecognizer


def load_networks(directory: Path, threads: int) -> Networks:
    """Load and warm up both networks: seconds of compute. Raises `EngineUnavailable`."""
    try:
        networks = Networks(
            TextDetector(read_model(directory / DETECTOR_FILE), threads),
            TextRecognizer(read_model(directory / RECOGNIZER_FILE), threads),
        )
    except ImportError as error:
        raise EngineUnavailable(
            f"The package {error.name}, which runs the OCR models, cannot be imported.",
            "Install it: pip install -r requirements.txt",
        ) from error
    blank = np.full((320, 320, 3), 255, np.uint8)
    networks.detector.detect(blank, 320)
    networks.recognizer.read(blank[:STRIP_HEIGHT])
    return networks
