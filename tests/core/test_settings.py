"""Settings that cannot be are named."""

from __future__ import annotations

import pytest

from airgap.core.errors import ConfigurationError
from config import load_settings


# Not beside a server in this process: a network that is just being loaded reads the environment in threads
# of its own, and whoever changes it meanwhile ends the process.
def test_bad_settings_name_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    monkeypatch.setenv("BACKEND", "magic")
    monkeypatch.setenv("BASE_SIZE", "999")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert "PORT" in caught.value.message
    assert "BACKEND" in caught.value.message
    assert caught.value.code == "bad_configuration"
