"""Accounts at the start: what is not safe stops it, and what is off is not loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.accounts.conftest import SECRET_KEY
from tests.conftest import ROOT, free_port


def start(**settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"BACKEND": "fake", "AUTH_ENABLED": "1", "PORT": str(free_port())} | settings
    return subprocess.run(
        [sys.executable, "serve_ocr.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "settings",
    [{}, {"SECRET_KEY": "short"}, {"SECRET_KEY": SECRET_KEY, "DATABASE_URL": "postgresql://127.0.0.1:1/x"}],
)
def test_settings_that_are_not_safe_stop_the_start(settings: dict[str, str], tmp_path: Path) -> None:
    result = start(DATA_DIR=str(tmp_path), **settings)
    assert result.returncode == 2
    named = "DATABASE_URL" if "DATABASE_URL" in settings else "SECRET_KEY"
    assert named in result.stderr
    assert "short" not in result.stderr.replace("shorter", "")


def test_with_accounts_off_nothing_of_them_is_loaded() -> None:
    code = (
        "import sys, serve_ocr; from config import load_settings;"
        "serve_ocr.create_app(load_settings(backend='fake', data_dir='/nowhere'));"
        "print({'argon2', 'jwt', 'psycopg', 'airgap.accounts.service'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
