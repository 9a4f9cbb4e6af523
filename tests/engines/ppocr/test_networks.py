"""The weights' bytes, the detector's post-processing on a painted map, and strips cut from a page."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from airgap.core.errors import EngineUnavailable
from airgap.engines.ppocr.networks import (
    DETECTOR_FILE,
    Networks,
    flush_subnormals,
    load_networks,
    model_directory,
    read_model,
)
from airgap.engines.ppocr.strips import STRIP_HEIGHT, cut_strip
from airgap.layout.quads import is_upended, quad_size


@pytest.fixture(scope="module")
def loaded() -> Networks:
    return load_networks(model_directory(), 1)


def _field(number: int, payload: bytes) -> bytes:
    length, size = len(payload), b""
    while True:
        size += bytes([length & 0x7F | (0x80 if length > 0x7F else 0)])
        length >>= 7
        if not length:
            return bytes([number << 3 | 2]) + size + payload


def test_only_subnormal_float_weights_are_zeroed() -> None:
    weights = np.array([1.5, 1e-40, -1e-40, 0.0, -2.0, 1.2e-38], np.float32)
    as_float = bytes([2 << 3, 1]) + _field(9, weights.tobytes())
    as_int = bytes([2 << 3, 6]) + _field(9, weights.tobytes())
    model = _field(7, _field(5, as_float) + _field(5, as_int))
    flushed = flush_subnormals(model)
    expected = np.array([1.5, 0, 0, 0.0, -2.0, 1.2e-38], np.float32)
    assert flushed == model.replace(weights.tobytes(), expected.tobytes(), 1)


def test_flushing_changes_the_detector_s_weights_and_nothing_else_in_length() -> None:
    original = (model_directory() / DETECTOR_FILE).read_bytes()
    flushed = flush_subnormals(original)
    assert len(flushed) == len(original)
    assert flushed != original
    assert flush_subnormals(flushed) == flushed


@pytest.mark.parametrize("damaged", [b"\x3a\xff\xff\xff\xff\x0f", b"\x3b", b"\x3a\x05ab", b"\xff"])
def test_bytes_that_are_no_model_are_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match="not an ONNX file"):
        flush_subnormals(damaged)


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        read_model(tmp_path / DETECTOR_FILE)
    assert DETECTOR_FILE in caught.value.message
    assert "rapidocr" in caught.value.remedy
    assert str(tmp_path) not in caught.value.message


def test_a_missing_wheel_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match="rapidocr"):
        model_directory()


def test_a_core_on_the_map_becomes_a_larger_quad_on_the_page(loaded: Networks) -> None:
    probabilities = np.zeros((160, 320), np.float32)
    cv2.rectangle(probabilities, (40, 60), (239, 69), 0.9, -1)
    quads = loaded.detector.quads(probabilities, 640, 320)
    assert quads.shape == (1, 4, 2)
    assert quads[0].min(axis=0) == pytest.approx([64, 104], abs=4)
    assert quads[0].max(axis=0) == pytest.approx([496, 154], abs=4)


def test_a_bent_line_is_not_lost(loaded: Networks) -> None:
    probabilities = np.zeros((200, 800), np.float32)
    x = np.arange(20, 780)
    bend = np.stack([x, 100 + 7 * np.sin(x / 120)], axis=1).astype(np.int32)
    cv2.polylines(probabilities, [bend], False, 0.95, 6)
    assert len(loaded.detector.quads(probabilities, 800, 200)) == 1


def test_faint_areas_are_no_lines(loaded: Networks) -> None:
    probabilities = np.zeros((160, 320), np.float32)
    cv2.rectangle(probabilities, (40, 60), (239, 69), 0.4, -1)
    assert len(loaded.detector.quads(probabilities, 320, 160)) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (40, 40)])
def test_pictures_of_any_shape_are_searched(loaded: Networks, size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 255, np.uint8)
    assert len(loaded.detector.detect(picture, 1280)) == 0


def test_a_strip_is_straight_and_of_the_recognizer_s_height() -> None:
    picture = np.full((400, 400, 3), 255, np.uint8)
    quad = np.array([[50, 100], [350, 130], [347, 160], [47, 130]], np.float32)
    cv2.fillPoly(picture, [quad.astype(np.int32)], (0, 0, 0))
    strip = cut_strip(picture, quad)
    assert strip.shape[0] == STRIP_HEIGHT
    assert strip.shape[1] / STRIP_HEIGHT == pytest.approx(10, rel=0.05)
    assert strip.mean() < 20


def test_a_line_that_runs_down_is_turned_to_the_left() -> None:
    picture = np.full((300, 100, 3), 255, np.uint8)
    picture[20:60, 40:60] = 0
    quad = np.array([[40, 20], [60, 20], [60, 280], [40, 280]], np.float32)
    assert is_upended(quad)
    assert quad_size(quad) == (20, 260)
    strip = cut_strip(picture, quad)
    dark = (strip[STRIP_HEIGHT // 2, :, 0] < 128).nonzero()[0]
    assert strip.shape[1] > 10 * STRIP_HEIGHT
    assert dark.max() < 0.2 * strip.shape[1]


def test_a_quad_at_the_edge_of_the_page_is_cut(loaded: Networks) -> None:
    picture = np.full((600, 600, 3), 255, np.uint8)
    quad = np.array([[0, 0], [600, 0], [600, 600], [0, 600]], np.float32)
    assert cut_strip(picture, quad).shape[0] == STRIP_HEIGHT


def test_an_empty_strip_reads_as_nothing(loaded: Networks) -> None:
    reading = loaded.recognizer.read(np.full((STRIP_HEIGHT, 200, 3), 255, np.uint8))
    assert (reading.text, reading.confidence) == ("", 0.0)


def test_where_no_letter_is_read_is_told(loaded: Networks) -> None:
    strip = np.full((STRIP_HEIGHT, 960, 3), 255, np.uint8)
    cv2.putText(strip, "street", (10, 34), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    cv2.putText(strip, "number", (820, 34), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    ((start, stop),) = loaded.recognizer.read(strip).silent
    assert 0.08 < start < 0.15
    assert 0.84 < stop < 0.9


def test_fillers_are_read_as_well_as_letters(loaded: Networks) -> None:
    strip = np.full((STRIP_HEIGHT, 700, 3), 255, np.uint8)
    cv2.putText(strip, "ID<<KLM<<<<<<<<<<<<<<<", (10, 34), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    reading = loaded.recognizer.read(strip)
    assert reading.text.count("<") > 10
    assert not any(stop < 0.8 for _, stop in reading.silent)
