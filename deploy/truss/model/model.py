"""The Truss: `load` starts the server beside it on loopback, `predict` asks its `/ocr`.

Two processes, because Truss and vLLM want different versions of the same packages. This file runs in
Truss's Python and needs nothing but the standard library. Set OCR_URL to use a server that runs already.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

DEFAULT_PROMPT = "Extract all text from this image. <image>"
PREDICT_SECONDS = 900

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy


class Model:
    """`config` is that of config.yaml; its `model_metadata` says where the server is."""

    def __init__(self, **kwargs: Any) -> None:
        metadata = (kwargs.get("config") or {}).get("model_metadata") or {}
        self._python = metadata.get("server_python", "/opt/venv/bin/python")
        self._folder = metadata.get("server_folder", "/app")
        self._start_seconds = float(metadata.get("start_seconds", 900))
        self._url = os.environ.get("OCR_URL", "").rstrip("/")
        self._server: subprocess.Popen[bytes] | None = None

    def load(self) -> None:
        """Return once pages can be read. Raises `RuntimeError` when the server ends or takes too long."""
        if not self._url:
            port = _free_port()
            environment = os.environ | {"HOST": "127.0.0.1", "PORT": str(port)}
            command = [self._python, "serve_ocr.py"]
            self._server = subprocess.Popen(command, cwd=self._folder, env=environment)
            atexit.register(self._server.terminate)
            self._url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + self._start_seconds
        while not self.is_healthy():
            if self._server is not None and self._server.poll() is not None:
                raise RuntimeError(
                    f"The server ended with status {self._server.returncode}; its log says why."
                )
            if time.monotonic() > deadline:
                raise RuntimeError(f"The server was not ready within {self._start_seconds:g} s.")
            time.sleep(0.5)

    def is_healthy(self) -> bool:
        """Whether pages can be read now."""
        try:
            with _DIRECT.open(f"{self._url}/readyz", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def predict(self, model_input: dict[str, Any]) -> dict[str, Any]:
        """Read one image: `image_url`, `image_base64`, or `image` as bytes or base64.

        The answer has `extracted_text`, `raw_output`, `references`, `image_references`,
        `other_references`, `image_size`, `prompt_used`, `model_name` and `has_bounding_boxes`, besides
        ours (`markdown`, `blocks`, `usage`, `warnings`); or `error`, with `image_size` None.
        """
        prompt = model_input.get("prompt") or DEFAULT_PROMPT
        image = _image_fields(model_input)
        if not image:
            return _failure("No image was sent: use 'image_url', 'image_base64' or 'image'.", prompt)
        passed_on = {
            name: model_input[name] for name in ("mode", "sampling", "language") if name in model_input
        }
        body = json.dumps({"prompt": prompt} | image | passed_on).encode()
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OCR_API_KEY"):
            headers["X-API-Key"] = key
        request = urllib.request.Request(f"{self._url}/ocr", body, headers)
        try:
            with _DIRECT.open(request, timeout=PREDICT_SECONDS) as answer:
                return _success(json.load(answer))
        except urllib.error.HTTPError as error:
            return _failure(_message_of(error), prompt)
        except OSError as error:
            return _failure(f"The server cannot be reached: {error}", prompt)


def _image_fields(model_input: dict[str, Any]) -> dict[str, str]:
    if url := model_input.get("image_url"):
        return {"image_url": str(url)}
    image = model_input.get("image_base64") or model_input.get("image")
    if isinstance(image, bytes | bytearray):
        image = base64.b64encode(image).decode("ascii")
    return {"image_base64": str(image)} if image else {}


def _success(answer: dict[str, Any]) -> dict[str, Any]:
    (result,) = answer.pop("results")
    return answer | {"markdown": result["markdown"], "blocks": result["blocks"], "status": result["status"]}


def _failure(message: str, prompt: str) -> dict[str, Any]:
    return {"error": message, "image_size": None, "prompt_used": prompt}


def _message_of(error: urllib.error.HTTPError) -> str:
    try:
        told = json.load(error)["error"]
        return f"{told['message']} {told['remedy']}"
    except (ValueError, KeyError, TypeError):
        return f"The server answered with status {error.code}."


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
