"""VLLM_ENGINE_ARGS that is wrong is refused with words that lead to what is right."""

from __future__ import annotations

import pytest

from airgap.core.errors import ConfigurationError
from airgap.engines.vllm.given_arguments import refuse_strangers
from config import load_settings

KNOWN = ("enforce_eager", "max_num_seqs", "max_num_batched_tokens", "seed")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{enforce_eager: true}", "is not JSON"),
        ("{'enforce_eager': true}", "is not JSON"),
        ("--enforce-eager", "is not JSON"),
        ('["enforce_eager"]', "no object"),
        ("3", "no object"),
    ],
)
def test_what_is_no_json_object_stops_the_start(
    given: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_ENGINE_ARGS", given)
    with pytest.raises(ConfigurationError, match="VLLM_ENGINE_ARGS") as caught:
        load_settings()
    assert words in caught.value.message
    assert '{"enforce_eager": true}' in caught.value.message
    assert given in caught.value.message


def test_a_json_object_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_ENGINE_ARGS", '{"enforce_eager": true, "seed": 7}')
    assert load_settings().vllm_engine_args == {"enforce_eager": True, "seed": 7}
    monkeypatch.setenv("VLLM_ENGINE_ARGS", "")
    assert load_settings().vllm_engine_args == {}


@pytest.mark.parametrize("given", ["enforce_eagr", "enforce-eager", "--enforce-eager", "Enforce_Eager"])
def test_a_misspelt_argument_is_named_with_the_one_that_was_meant(given: str) -> None:
    with pytest.raises(ConfigurationError, match="VLLM_ENGINE_ARGS") as caught:
        refuse_strangers(["seed", given], KNOWN)
    assert repr(given) in caught.value.message
    assert "did you mean enforce_eager?" in caught.value.message
    assert "seed" not in caught.value.message


def test_every_stranger_is_named_and_none_is_invented() -> None:
    with pytest.raises(ConfigurationError) as caught:
        refuse_strangers(["zebra", "max_num_seq"], KNOWN)
    assert "'zebra';" in caught.value.message
    assert "max_num_seqs" in caught.value.message
    refuse_strangers(KNOWN, KNOWN)
