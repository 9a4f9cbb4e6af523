"""The Truss: its fields, its own server, the `truss` package where it is installed, and its pictures."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import ROOT
from tests.dialects.drawing import TEXTS, data_url, encoded, png

TRUSS = ROOT / "deploy" / "truss"
DOCUMENTED = {
    "extracted_text",
    "raw_output",
    "references",
    "image_references",
    "other_references",
    "image_size",
    "prompt_used",
    "model_name",
    "has_bounding_boxes",
}
PROMPTS = [
    "Extract all text from this image. <image>",
    "<image>\n<|grounding|>Convert the document to markdown.",
    "<image>\n<|grounding|>OCR this image.",
    "<image>\nFree OCR.",
    "<image>\nParse the figure.",
    "<image>\nDescribe this image in detail.",
]
FIGURE = """{'Line': {'line': ['(-9, 0) -- (9, 0)', '(0, 0) -- (6, 8)'], 'line_type': ['--', '--'],
 'line_endpoint': ['A: (-9, 0)', 'B: (9, 0)', 'C: (6, 8)', '$\\\\frac{1}{0}$: (0, 0)']},
 'Circle': {'circle_center': ['O: (0, 0)'], 'radius': [10]}}"""


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def model(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OCR_URL", server)
    loaded = load("truss_model", TRUSS / "model" / "model.py").Model(config={})
    loaded.load()
    return loaded


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_documented_prompts(model: Any, prompt: str) -> None:
    answer = model.predict({"image_base64": encoded(png()), "prompt": prompt})
    assert answer.keys() >= DOCUMENTED
    assert answer["prompt_used"] == prompt
    assert all(text in answer["extracted_text"] for text in TEXTS)
    assert answer["has_bounding_boxes"] is True


@pytest.mark.parametrize(
    "given",
    [
        {"image_base64": encoded(png())},
        {"image": png()},
        {"image": encoded(png())},
        {"image": data_url(png())},
    ],
)
def test_the_ways_to_send_an_image(model: Any, given: dict[str, Any]) -> None:
    answer = model.predict(given)
    assert answer["image_size"] == [1000, 999]
    assert answer["prompt_used"] == PROMPTS[0]
    json.dumps(answer)


@pytest.mark.parametrize(
    "given",
    [{}, {"image_base64": "%%%"}, {"image": b"nothing"}, {"image_url": "http://127.0.0.1/x.png"}],
)
def test_what_goes_wrong_is_an_answer(model: Any, given: dict[str, Any]) -> None:
    answer = model.predict(given | {"prompt": "read"})
    assert answer["error"]
    assert (answer["image_size"], answer["prompt_used"]) == (None, "read")


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("OCR_URL", raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    metadata = {"server_python": sys.executable, "server_folder": str(ROOT), "start_seconds": 60}
    model = load("truss_model", TRUSS / "model" / "model.py").Model(config={"model_metadata": metadata})
    yield model
    if model._server is not None:
        model._server.terminate()
        model._server.wait(30)


def test_it_starts_its_own_server(own_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND", "fake")
    own_server.load()
    assert own_server.is_healthy()
    assert TEXTS[0] in own_server.predict({"image": png()})["extracted_text"]


def test_a_server_that_does_not_start_is_said(own_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND", "nonsense")
    with pytest.raises(RuntimeError, match="ended with status 2"):
        own_server.load()


def test_the_truss_package_loads_and_calls_it(server: str) -> None:
    """In an environment of its own, named by TRUSS_PYTHON, as its versions are not ours."""
    python = os.environ.get("TRUSS_PYTHON")
    if python is None:
        pytest.skip("TRUSS_PYTHON names no Python that has the truss package")
    code = (
        "import json, sys, truss; handle = truss.load(sys.argv[1]); handle.validate();"
        "print(json.dumps(handle.predict(json.load(sys.stdin))))"
    )
    result = subprocess.run(
        [python, "-c", code, str(TRUSS)],
        input=json.dumps({"image_base64": encoded(png()), "prompt": PROMPTS[0]}),
        env=os.environ | {"OCR_URL": server},
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer.keys() >= DOCUMENTED


def test_the_configuration_fits_the_model() -> None:
    config = yaml.safe_load((TRUSS / "config.yaml").read_text())
    module = load("truss_model", TRUSS / config["model_class_filename"].replace("model.py", "model/model.py"))
    assert {"load", "predict"} <= set(dir(getattr(module, config["model_class_name"])))
    from config import load_settings

    known = set(load_settings().model_fields_set) | set(type(load_settings()).model_fields)
    assert {name.lower() for name in config["environment_variables"]} <= known


SNIPPET = """
import sys
class PillowAlone:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in {"PIL", "airgap", "deepseek_ocr", "visualizer", "defusedxml", *sys.stdlib_module_names}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, PillowAlone())

from visualizer import DeepSeekOCRVisualizer
from PIL import Image
import base64
import io

image = Image.open(sys.argv[1])
ocr_result = {"raw_output": sys.argv[2], "has_bounding_boxes": True}

visualizer = DeepSeekOCRVisualizer()
viz_result = visualizer.create_visualization(image, ocr_result)

if viz_result:
    viz_image = Image.open(io.BytesIO(base64.b64decode(viz_result["visualization"])))
    viz_image.save(sys.argv[3])
    print(viz_result["has_bounding_boxes"])
"""


def test_the_documented_snippet_runs_in_its_folder_with_pillow_alone(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(png())
    raw = "<|ref|>text<|/ref|><|det|>[[100, 100, 500, 300]]<|/det|>\nWords"
    command = [sys.executable, "-c", SNIPPET, str(tmp_path / "page.png"), raw, str(tmp_path / "boxes.png")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=TRUSS, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    with Image.open(tmp_path / "page.png") as before, Image.open(tmp_path / "boxes.png") as after:
        assert after.size == before.size
        assert after.convert("RGB").tobytes() != before.convert("RGB").tobytes()


@pytest.fixture
def visualizer() -> Any:
    return load("visualizer", TRUSS / "visualizer.py").DeepSeekOCRVisualizer()


def pixels(encoded_png: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded_png))).convert("RGB")).astype(int)


def test_boxes_are_drawn_where_they_are(model: Any, visualizer: Any) -> None:
    image = Image.open(io.BytesIO(png()))
    result = visualizer.create_visualization(image, model.predict({"image": png()}))
    assert (result["has_bounding_boxes"], result["has_geometric_elements"]) == (True, False)
    assert result["geometric_visualization"] is None
    changed = np.abs(pixels(result["visualization"]) - np.asarray(image).astype(int)).sum(axis=2) > 60
    _rows, columns = np.nonzero(changed)
    assert 0 <= 20 - columns.min() <= 8
    assert abs(columns.max() - 300) < 40
    assert changed[60:64, 30:190].mean() > 0.2 or changed[56:62, 30:190].mean() > 0.2
    assert not changed[300:, :].any()


def test_geometry_is_drawn(visualizer: Any) -> None:
    pytest.importorskip("matplotlib")
    result = visualizer.create_visualization(Image.new("RGB", (100, 100), "white"), {"raw_output": FIGURE})
    assert (result["has_bounding_boxes"], result["has_geometric_elements"]) == (False, True)
    drawing = pixels(result["geometric_visualization"]).sum(axis=2)
    dark = drawing < 200
    assert 200 < dark.sum() < 60_000
    height, width = dark.shape
    # The horizontal line through the middle, from A to B.
    middle = dark[int(0.35 * height) : int(0.65 * height)]
    assert middle.sum(axis=1).max() > 0.3 * width


@pytest.mark.parametrize(
    "raw", ["", "{'Line': {'line': ['(1e9, 0) -- (x)']}}", "__import__('os').system('x')", "{'Line': " * 100]
)
def test_what_is_no_figure_is_not_drawn_and_not_run(visualizer: Any, raw: str) -> None:
    result = visualizer.create_visualization(Image.new("RGB", (10, 10)), {"raw_output": raw})
    assert result["has_geometric_elements"] is False
