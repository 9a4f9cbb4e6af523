"""The no-repeat n-gram rule that keeps DeepSeek-OCR from going round in circles.

A token is forbidden next when it would complete an n-gram that began within the last `window_size`
tokens of the output. Tokens on the whitelist (`<td>`, `</td>`) are never forbidden: honest tables
repeat them. The prompt does not count.

`banned_tokens` states the rule; `NgramIndex` gives the same answer from a table that grows with the
output, so that a step costs the same after 8,000 tokens as after 80. The adapters for engines are in
`ngram_vllm.py` and `ngram_transformers.py`; this file must not know torch or any engine.

Source: `NoRepeatNGramLogitsProcessor` in DeepSeek-OCR's repository.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence

from deepseek_ocr import WHITELIST_TOKEN_IDS, NgramRule

MAX_NGRAM_SIZE = 128
MAX_WINDOW_SIZE = 4096
MAX_WHITELIST = 32
DEFAULT_WINDOW_SIZE = 90


def banned_tokens(
    output_ids: Sequence[int], ngram_size: int, window_size: int, whitelist: Collection[int] = ()
) -> set[int]:
    """The token ids the rule forbids after `output_ids` (generated tokens, oldest first).

    An n-gram counts when its first token is among the last `window_size`. An `ngram_size` of 1 forbids
    nothing, as upstream. Rescans the window; raises `ValueError` for sizes below 1.
    """
    _check_sizes(ngram_size, window_size)
    length, context = len(output_ids), ngram_size - 1
    if context == 0:
        return set()
    prefix = tuple(output_ids[length - context :]) if length >= context else None
    starts = range(max(0, length - window_size), length - context)
    return {
        output_ids[start + context]
        for start in starts
        if tuple(output_ids[start : start + context]) == prefix
    }.difference(whitelist)


class NgramIndex:
    """The rule over a growing output: `append` each token, ask `banned` at any time.

    Every token costs one hash of `ngram_size - 1` tokens, to enter an n-gram, and one to drop the
    n-gram that leaves the window; `banned` looks one prefix up. Memory is the window's n-grams.
    """

    def __init__(self, rule: NgramRule) -> None:
        _check_sizes(rule.ngram_size, rule.window_size)
        self._rule = rule
        self._context = rule.ngram_size - 1
        self.clear()

    def clear(self) -> None:
        """Forget the output, as for a new request in a used slot."""
        self._length = 0
        self._recent: deque[int] = deque(maxlen=self._context)
        self._order: deque[tuple[int, tuple[int, ...], int]] = deque()
        self._next: dict[tuple[int, ...], dict[int, int]] = {}

    def __len__(self) -> int:
        """The number of tokens seen."""
        return self._length

    def append(self, token: int) -> None:
        """Take in the token that was generated next."""
        if self._context and len(self._recent) == self._context:
            prefix = tuple(self._recent)
            counts = self._next.setdefault(prefix, {})
            counts[token] = counts.get(token, 0) + 1
            self._order.append((self._length - self._context, prefix, token))
        self._recent.append(token)
        self._length += 1
        self._evict()

    def _evict(self) -> None:
        first = self._length - self._rule.window_size
        while self._order and self._order[0][0] < first:
            _, prefix, token = self._order.popleft()
            counts = self._next[prefix]
            counts[token] -= 1
            if not counts[token]:
                del counts[token]
            if not counts:
                del self._next[prefix]

    def banned(self) -> set[int]:
        """The token ids forbidden next: `banned_tokens` of everything appended."""
        counts = self._next.get(tuple(self._recent)) if len(self._recent) == self._context else None
        return set(counts).difference(self._rule.whitelist) if counts else set()

    def follow(self, output_ids: Sequence[int]) -> None:
        """Catch up with an output that an engine keeps, and which only grows.

        Starts over when it is shorter than what was seen or has other tokens where the last were. A
        negative id is an engine's mark for a token still being computed: it and what follows wait.
        """
        seen = self._length
        if seen > len(output_ids) or list(self._recent) != list(output_ids[seen - len(self._recent) : seen]):
            self.clear()
            seen = 0
        for position in range(seen, len(output_ids)):
            if output_ids[position] < 0:
                return
            self.append(output_ids[position])


def rule_from_extra_args(extra_args: Mapping[str, object] | None) -> NgramRule | None:
    """The rule that a request asks for by `ngram_size`, `window_size` and `whitelist_token_ids`.

    None where there is no `ngram_size`. These are the names vLLM's own processor for DeepSeek-OCR reads
    from `SamplingParams.extra_args`. Raises `ValueError` for wrong types and values out of bounds.
    """
    if not extra_args or extra_args.get("ngram_size") is None:
        return None
    ngram_size = _bounded(extra_args["ngram_size"], "ngram_size", MAX_NGRAM_SIZE)
    window_size = _bounded(extra_args.get("window_size", DEFAULT_WINDOW_SIZE), "window_size", MAX_WINDOW_SIZE)
    whitelist = extra_args.get("whitelist_token_ids")
    if whitelist is None:
        return NgramRule(ngram_size, window_size, WHITELIST_TOKEN_IDS)
    if not isinstance(whitelist, list | tuple | set | frozenset) or len(whitelist) > MAX_WHITELIST:
        raise ValueError(f"`whitelist_token_ids` has to be a list of at most {MAX_WHITELIST} token ids.")
    if not all(type(token) is int and token >= 0 for token in whitelist):
        raise ValueError("`whitelist_token_ids` has to hold token ids, which are whole numbers from 0.")
    return NgramRule(ngram_size, window_size, frozenset(whitelist))


def _bounded(value: object, name: str, maximum: int) -> int:
    if type(value) is not int or not 1 <= value <= maximum:
        raise ValueError(f"`{name}` has to be a whole number from 1 to {maximum}, not {value!r:.40}.")
    return value


def _check_sizes(ngram_size: int, window_size: int) -> None:
    if ngram_size < 1 or window_size < 1:
        raise ValueError(f"n-gram size {ngram_size} and window {window_size} have to be at least 1.")
