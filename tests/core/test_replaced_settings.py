"""Settings of replaced servers: taken over where they have a meaning here, named where they do nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from airgap.core.errors import ConfigurationError
from airgap.core.replaced_settings import ONLY_WITH, WITHOUT_EFFECT, remarks
from config import Settings, load_settings


def load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def test_another_servers_address_and_model_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, QWEN_REMOTE_URL="http://box:8001", QWEN_MODEL="Qwen/Qwen2-VL-7B-Instruct")
    assert settings.llm_base_url == "http://box:8001/v1"
    assert settings.model_id == settings.llm_model == "Qwen/Qwen2-VL-7B-Instruct"


def test_what_is_set_itself_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, QWEN_REMOTE_URL="http://a:1", LLM_BASE_URL="http://b:2/v1")
    assert settings.llm_base_url == "http://b:2/v1"


def test_a_model_may_be_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load(monkeypatch, QWEN_MODEL=str(tmp_path / "Qwen2-VL"))
    assert (settings.model_path, settings.model_id) == (tmp_path / "Qwen2-VL", "Qwen2-VL")


@pytest.mark.parametrize(
    ("given", "ours"),
    [("bfloat16", "bf16"), ("torch.float16", "fp16"), ("float32", "fp32"), ("bf16", "bf16")],
)
def test_number_formats_as_torch_spells_them(monkeypatch: pytest.MonkeyPatch, given: str, ours: str) -> None:
    assert load(monkeypatch, TORCH_DTYPE=given).torch_dtype == ours


@pytest.mark.parametrize(
    ("environment", "mode"),
    [
        ({"CROP_MODE": "false"}, "base"),
        ({"CROP_MODE": "false", "BASE_SIZE": "640"}, "small"),
        ({"CROP_MODE": "false", "BASE_SIZE": "1280", "IMAGE_SIZE": "1280"}, "large"),
        ({"CROP_MODE": "true", "BASE_SIZE": "1024", "IMAGE_SIZE": "640"}, "gundam"),
    ],
)
def test_modes(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], mode: str) -> None:
    assert load(monkeypatch, **environment).default_mode == mode


def test_sizes_that_are_no_mode_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="is none of"):
        load(monkeypatch, CROP_MODE="false", IMAGE_SIZE="512")


def test_languages_have_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, LANGUAGES="russian, chi_tra,deu,de").languages == ("ru", "zh-Hant", "de")
    with pytest.raises(ConfigurationError, match=r"LANGUAGES.*qqq1"):
        load(monkeypatch, LANGUAGES="ru,qqq1")


def test_a_database_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load(monkeypatch, DATABASE_URL="sqlite+aiosqlite:///./data.db", DATA_DIR=str(tmp_path))
    assert (settings.database_server, settings.accounts_file) == (None, tmp_path / "data.db")
    settings = load(monkeypatch, DATABASE_URL="sqlite:////var/lib/ocr/app.db")
    assert settings.accounts_file == Path("/var/lib/ocr/app.db")
    settings = load(monkeypatch, DATABASE_URL="postgresql://u:p@h/n")
    assert (settings.database_server, settings.accounts_file) == ("postgresql://u:p@h/n", None)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_that_is_no_file_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        load(monkeypatch, DATABASE_URL=url)


@pytest.mark.parametrize("name", [*WITHOUT_EFFECT, *ONLY_WITH])
def test_each_setting_without_effect_is_named_once(name: str) -> None:
    (line,) = remarks({name: "1"}, ["rapidocr"])
    assert line.startswith(f"{name} does nothing")


def test_what_an_engine_of_a_list_heeds_is_not_named() -> None:
    assert remarks({"LLM_BASE_URL": "x", "MODEL_PATH": "y"}, ["openai", "vllm"]) == []
    assert remarks({"QWEN_REMOTE_URL": "x"}, ["openai"]) == [
        "QWEN_REMOTE_URL is taken as LLM_BASE_URL, where that is not set"
    ]


def test_an_empty_setting_is_none() -> None:
    assert remarks({"HF_TOKEN": " "}, ["fake"]) == []
