"""A model that the server's user may not read is named with its remedy, whatever would have opened it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from airgap.core.errors import ConfigurationError
from airgap.engines.model_folder import verify
from airgap.engines.readable import readable

NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, seen by a user who is not root."""
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        Path(home).chmod(0o755)
        path = Path(home, "model")
        (path / "inner").mkdir(parents=True)
        for name in ("config.json", "inner/weights.safetensors"):
            (path / name).write_text("{}")
        root = os.geteuid() == 0
        if root:
            os.seteuid(NOBODY)
        try:
            yield path
        finally:
            if root:
                os.seteuid(0)
            path.chmod(0o755)


def close(path: Path, mode: int) -> None:
    """By its owner, who may be root."""
    user = os.geteuid()
    os.seteuid(os.getuid())
    path.chmod(mode)
    os.seteuid(user)


def test_what_may_be_read_is_handed_back(folder: Path) -> None:
    assert readable(folder) == folder
    assert readable(folder / "absent" / "more") == folder / "absent" / "more"


@pytest.mark.parametrize("name", [".", "config.json", "inner", "inner/weights.safetensors"])
def test_what_may_not_is_named_with_user_and_remedy(folder: Path, name: str) -> None:
    close(folder / name, 0)
    with pytest.raises(ConfigurationError) as caught:
        verify(folder)
    assert str(folder / name) in caught.value.message
    assert f"user {os.geteuid()}" in caught.value.message
    assert "chmod -R a+rX model" in caught.value.remedy
    close(folder / name, 0o755)


def test_a_closed_folder_above_it_is_named(folder: Path) -> None:
    close(folder.parent, 0o600)
    with pytest.raises(ConfigurationError, match=str(folder.parent)):
        readable(folder)
    close(folder.parent, 0o755)
