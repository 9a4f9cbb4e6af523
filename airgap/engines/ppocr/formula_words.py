"""Numbers of words → text, as a `tokenizer.json` says; no more of such a file than that needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Vocabulary:
    """The words of a tokenizer. Raises `KeyError`, `TypeError` or `ValueError` for another kind of file."""

    def __init__(self, tokenizer: dict[str, Any]) -> None:
        words = tokenizer["model"]["vocab"]
        self._words: dict[int, str] = (
            {number: word for number, (word, _) in enumerate(words)}
            if isinstance(words, list)
            else {int(number): word for word, number in words.items()}
        )
        added = tokenizer.get("added_tokens") or []
        self._silent = {int(one["id"]) for one in added if one.get("special")}
        self._words |= {int(one["id"]): one["content"] for one in added}
        self._join = _joining(tokenizer.get("decoder"))

    def text(self, numbers: Sequence[int]) -> str:
        """What words say together; empty where one of them is unknown, for then nobody knows."""
        if any(number not in self._words for number in numbers):
            return ""
        return self._join([self._words[number] for number in numbers if number not in self._silent]).strip()


def _joining(decoder: dict[str, Any] | None) -> Callable[[Sequence[str]], str]:
    kind = decoder["type"] if decoder else None
    if decoder is None:
        return " ".join
    if kind == "ByteLevel":
        return _of_bytes
    if kind == "Metaspace":
        space = decoder.get("replacement", "\u2581")
        return lambda words: "".join(words).replace(space, " ")
    if kind == "BPEDecoder":
        suffix = decoder.get("suffix", "</w>")
        return lambda words: "".join(words).replace(suffix, " ")
    if kind == "WordPiece":
        prefix = decoder.get("prefix", "##")
        return lambda words: " ".join(words).replace(f" {prefix}", "")
    raise ValueError(f"tokenizer.json joins words by {kind}, which is not done here")


def _letters_of_bytes() -> dict[str, int]:
    """The letter that stands for each byte in a byte-level vocabulary: itself where it can be seen."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(0x100) if byte not in set(seen)]
    return {chr(byte): byte for byte in seen} | {chr(0x100 + i): byte for i, byte in enumerate(hidden)}


_BYTES = _letters_of_bytes()


def _of_bytes(words: Sequence[str]) -> str:
    letters = "".join(words)
    if any(letter not in _BYTES for letter in letters):  # a word that was added is no run of bytes
        return "".join(_of_bytes([w]) if set(w) <= _BYTES.keys() else w for w in words)
    return bytes(_BYTES[letter] for letter in letters).decode("utf-8", "replace")
