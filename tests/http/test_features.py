"""The table of features: what each route reads is known from it, for quotas and metrics alike."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from airgap.http.features import Feature, Kinds, mount
from config import Settings
from serve_ocr import FEATURES, create_app, create_service


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Kinds:
    settings = Settings(backend="fake", data_dir=tmp_path_factory.mktemp("kinds"))
    app = create_app(settings)
    return mount(app, create_service(settings), FEATURES, [])


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/ocr", "image"),
        ("POST", "/ocr/image/advanced", "image"),
        ("POST", "/ocr/pdf", "pdf"),
        ("POST", "/api/ocr/image", "image"),
        ("POST", "/api/ocr/document", "pdf"),
        ("POST", "/pdf/ocr/simple", "pdf"),
        ("POST", "/batch/ocr/download", "batch"),
        ("POST", "/v1/chat/completions", "chat"),
        ("POST", "/jobs", "job"),
        ("POST", "/jobs/0123/retry", "job"),
        ("POST", "/jobs/0123/cancel", ""),
        ("DELETE", "/jobs/0123", "job"),
        ("POST", "/export", ""),
        ("PUT", "/process", "pdf"),
        ("PUT", "/tika/text", "pdf"),
        ("PUT", "/rmeta", "pdf"),
        ("PUT", "/meta", ""),
        ("PUT", "/detect/stream", ""),
        ("POST", "/v1/ocr", "pdf"),
        ("POST", "/v1/files", ""),
        ("POST", "/documentintelligence/documentModels/prebuilt-read:analyze", "job"),
        ("DELETE", "/documentintelligence/documentModels/prebuilt-read/analyzeResults/0123", ""),
        ("POST", "/v1/convert/file", "pdf"),
        ("POST", "/v1/convert/source/async", "job"),
        ("POST", "/file_parse", "pdf"),
        ("POST", "/layout-parsing", "pdf"),
        ("GET", "/ocr/status", ""),
        ("POST", "/ocrx", ""),
        ("POST", "/api/auth/token", ""),
    ],
)
def test_kinds(kinds: Kinds, method: str, path: str, kind: str) -> None:
    assert kinds(method, path) == kind


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_what_a_feature_names_is_there(name: str) -> None:
    """Every prefix and every exception of kind is of a route of that feature."""
    feature = FEATURES[name]
    routes = [
        r.path for r in importlib.import_module(feature.module).router.routes if isinstance(r, APIRoute)
    ]
    for path in (*feature.prefixes, *feature.kinds):
        assert any(route == path or route.startswith(f"{path}/") for route in routes), path


def test_the_longest_path_decides() -> None:
    feature = Feature("x", "image", (), kinds={"/a": "pdf", "/a/b": ""})
    assert [feature.kind_of(path) for path in ("/", "/a", "/ab", "/a/c", "/a/b/c")] == [
        "image",
        "pdf",
        "image",
        "pdf",
        "",
    ]


def test_a_feature_is_switched_off_by_its_setting(tmp_path: Path) -> None:
    app = create_app(Settings(backend="fake", data_dir=tmp_path, enable_jobs=False))
    assert app.state.service.features["jobs"] == "ENABLE_JOBS=0"
