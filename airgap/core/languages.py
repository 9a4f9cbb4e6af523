"""What people call a language → the code that engines are told.

Names in English and in the language itself, ISO 639-1, -2 and -3, BCP 47 tags and Tesseract's codes are
understood. The names are CLDR's and the codes IANA's, as `langcodes` brings them; nothing is looked up
anywhere else.
"""

from __future__ import annotations

from functools import lru_cache

import langcodes
from langcodes.tag_parser import LanguageTagError

from airgap.core.errors import InvalidOption

MAX_CHARS = 64

# ISO 639-1, with the variants of Chinese by script and by region: what a list to choose from offers.
LANGUAGES = frozenset(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de
    dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id
    ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu
    lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu
    rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr
    ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu zh-Hans zh-Hant zh-CN zh-TW zh-HK
    """.split()  # noqa: SIM905
)

_OF_CHINESE = frozenset({"Hans", "Hant", "CN", "TW", "HK"})
_TESSERACT = {"chi_sim": "zh-Hans", "chi_tra": "zh-Hant", "frk": "de", "cmn": "zh"}


@lru_cache(maxsize=512)
def language_code(text: str) -> str | None:
    """The code for a language: `ru`, `zh-Hant`, `sr-Latn`; None for `auto` and for nothing.

    Of Tesseract's lists, such as `rus+eng`, the first that is not English counts: a hint names the script
    that is less expected. A region stays only with Chinese, where it says which script is meant. Raises
    `InvalidOption` for what is no language.
    """
    words = text.strip()
    if not words or words.lower() == "auto":
        return None
    found = [_code(part) for part in words.split("+")] if len(words) <= MAX_CHARS else [None]
    codes = [code for code in found if code is not None]
    if len(codes) < len(found):
        raise InvalidOption(
            f"`language` is {words[:MAX_CHARS]!r}.",
            "Use a code such as en, ru, de, zh-Hant, rus or chi_tra, or a name such as Russian.",
        )
    return next((code for code in codes if code != "en"), "en")


def is_latin(code: str) -> bool:
    """Whether a language, by its code here, is written in Latin letters."""
    return langcodes.Language.get(code).maximize().script == "Latn"


def _code(text: str) -> str | None:
    words = text.strip().removesuffix("_vert").partition(".")[0]
    tag = _TESSERACT.get(words.lower(), words)
    try:
        language = langcodes.Language.get(tag)
        if language.is_valid():
            return _shortened(language)
    except LanguageTagError:
        pass  # a name, then
    try:
        return _shortened(langcodes.find(words))
    except LookupError:
        return None


def _shortened(language: langcodes.Language) -> str | None:
    """Without what tells an engine nothing."""
    base = language.language
    if base is None:
        return None
    chinese = base == "zh"
    if language.script and (not chinese or language.script in _OF_CHINESE):
        return f"{base}-{language.script}"
    if chinese and language.territory in _OF_CHINESE:
        return f"{base}-{language.territory}"
    return base
