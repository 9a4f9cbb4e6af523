"""A PDF's form, laid aside while its pages are worked on, and signatures that the work breaks.

OCRmyPDF refuses files with forms, though it touches nothing of theirs. Any change to a file breaks its
digital signatures; what they signed is taken off, so that no viewer shows a document as signed, or as
tampered with. How they look on the page stays.
"""

from __future__ import annotations

from collections.abc import Iterator

import pikepdf

ASIDE = "/AirgapForm"
"""The entry of the catalog under which a form waits."""

_DEEPEST, _MOST_FIELDS = 50, 100_000


def lay_form_aside(pdf: pikepdf.Pdf) -> tuple[bool, bool]:
    """Whether there was a form, and whether it held signatures, which are taken off."""
    form = pdf.Root.get("/AcroForm")
    if not isinstance(form, pikepdf.Dictionary):
        return False, False
    signed = _take_signatures_off(pdf, form)
    pdf.Root[ASIDE] = form
    del pdf.Root["/AcroForm"]
    return True, signed


def give_back_form(pdf: pikepdf.Pdf) -> None:
    """Put back what `lay_form_aside` took."""
    if ASIDE in pdf.Root:
        pdf.Root["/AcroForm"] = pdf.Root[ASIDE]
        del pdf.Root[ASIDE]


def _take_signatures_off(pdf: pikepdf.Pdf, form: pikepdf.Dictionary) -> bool:
    signed = False
    for field in _fields(form.get("/Fields", pikepdf.Array())):
        if field.get("/FT") == "/Sig" and "/V" in field:
            del field["/V"]
            signed = True
    if signed:
        for holder, key in ((form, "/SigFlags"), (pdf.Root, "/Perms")):
            if key in holder:
                del holder[key]
    return signed


def _fields(roots: pikepdf.Object) -> Iterator[pikepdf.Dictionary]:
    waiting = [(field, 0) for field in _dictionaries(roots)]
    seen = 0
    while waiting and seen < _MOST_FIELDS:
        field, depth = waiting.pop()
        seen += 1
        yield field
        if depth < _DEEPEST:
            waiting += [(kid, depth + 1) for kid in _dictionaries(field.get("/Kids", pikepdf.Array()))]


def _dictionaries(array: pikepdf.Object) -> list[pikepdf.Dictionary]:
    if not isinstance(array, pikepdf.Array):
        return []
    return [item for item in array if isinstance(item, pikepdf.Dictionary)]
