"""PDFs that act, reach out or carry files: each active piece holds `CANARY`, so that none is overlooked."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Pdf, String

CANARY = "canary-5d1f"
LINK = "https://example.org/kept"
RECT = [50, 50, 150, 80]


def script(**more: Any) -> Dictionary:
    return Dictionary(S=Name.JavaScript, JS=String(f"app.alert('{CANARY}')"), **more)


def action(kind: str, **more: Any) -> Dictionary:
    return Dictionary(S=Name(f"/{kind}"), F=String(f"//{CANARY}/x.exe"), **more)


def harmless(**more: Any) -> Dictionary:
    return Dictionary(S=Name.URI, URI=String(LINK), **more)


def file_spec(pdf: Pdf, name: str = f"{CANARY}.xml") -> Object:
    data = pdf.make_stream(CANARY.encode(), Type=Name.EmbeddedFile)
    spec = Dictionary(Type=Name.Filespec, F=String(name), UF=String(name), EF=Dictionary(F=data))
    return pdf.make_indirect(spec)


def annotate(pdf: Pdf, page: int = 0, **entries: Any) -> Object:
    annotation = pdf.make_indirect(Dictionary(Type=Name.Annot, Rect=RECT, F=4, **entries))
    pdf.pages[page].obj.Annots = Array([*pdf.pages[page].obj.get("/Annots", []), annotation])
    return annotation


def link(pdf: Pdf, does: object, page: int = 0) -> Object:
    return annotate(pdf, page, Subtype=Name.Link, A=does)


def linked(kind: str) -> Callable[[Pdf], object]:
    return lambda pdf: link(pdf, pdf.make_indirect(action(kind)))


def document_script(pdf: Pdf) -> None:
    pdf.Root.Names = Dictionary(JavaScript=Dictionary(Names=[String("a"), pdf.make_indirect(script())]))


def opening_script(pdf: Pdf) -> None:
    pdf.Root.OpenAction = script()


def opening_of_a_site(pdf: Pdf) -> None:
    pdf.Root.OpenAction = Dictionary(S=Name.URI, URI=String(f"https://{CANARY}/"))


def opening_of_a_page_and_then_a_site(pdf: Pdf) -> None:
    following = Dictionary(S=Name.URI, URI=String(f"https://{CANARY}/"))
    pdf.Root.OpenAction = Dictionary(S=Name.GoTo, D=[pdf.pages[0].obj, Name.Fit], Next=following)


def additional_on_the_catalog(pdf: Pdf) -> None:
    pdf.Root.AA = Dictionary(WC=script())


def additional_on_a_page(pdf: Pdf) -> None:
    pdf.pages[1].obj.AA = Dictionary(O=Dictionary(S=Name.URI, URI=String(f"https://{CANARY}/")))


def additional_on_an_annotation(pdf: Pdf) -> None:
    annotate(pdf, Subtype=Name.Link, AA=pdf.make_indirect(Dictionary(E=script())))


def field(pdf: Pdf, **entries: Any) -> Object:
    """A text field whose widget is apart, as its kid."""
    parent = pdf.make_indirect(Dictionary(FT=Name.Tx, T=String("surname"), **entries))
    parent.Kids = [annotate(pdf, Subtype=Name.Widget, Parent=parent)]
    pdf.Root.AcroForm = Dictionary(Fields=[parent])
    return parent


def additional_on_a_field(pdf: Pdf) -> None:
    field(pdf, AA=Dictionary(K=script()))


def xfa(pdf: Pdf) -> None:
    field(pdf)
    pdf.Root.AcroForm.XFA = [String("template"), pdf.make_stream(f"<script>{CANARY}</script>".encode())]


def outline(pdf: Pdf) -> None:
    child = pdf.make_indirect(Dictionary(Title=String("child"), A=action("Launch")))
    first = pdf.make_indirect(Dictionary(Title=String("first"), First=child, Last=child, A=harmless()))
    pdf.Root.Outlines = pdf.make_indirect(Dictionary(First=first, Last=first, Count=1))
    first.Parent, child.Parent = pdf.Root.Outlines, first


def chain(pdf: Pdf) -> None:
    link(pdf, harmless(Next=harmless(Next=Array([harmless(), script(), action("Launch"), harmless()]))))


def deep_chain(pdf: Pdf) -> None:
    does: Object = pdf.make_indirect(script())
    for _ in range(1000):
        does = pdf.make_indirect(harmless(Next=does))
    link(pdf, does)


def embedded(pdf: Pdf) -> None:
    pdf.Root.Names = Dictionary(EmbeddedFiles=Dictionary(Names=[String("n"), file_spec(pdf)]))


def portfolio(pdf: Pdf) -> None:
    embedded(pdf)
    pdf.Root.Collection = Dictionary(View=Name.T, D=String(CANARY))


def attached(pdf: Pdf) -> None:
    annotate(pdf, 1, Subtype=Name.FileAttachment, FS=file_spec(pdf))


def attached_from_elsewhere(pdf: Pdf) -> None:
    annotate(pdf, 1, Subtype=Name.FileAttachment, FS=Dictionary(F=String(f"//{CANARY}/x.exe")))


def associated(pdf: Pdf) -> None:
    pdf.Root.AF = Array([file_spec(pdf)])
    pdf.pages[0].obj.AF = file_spec(pdf)


def rich_media(pdf: Pdf) -> None:
    assets = Dictionary(Names=[String("a.swf"), file_spec(pdf)])
    annotate(pdf, Subtype=Name.RichMedia, RichMediaContent=Dictionary(Assets=assets))


def movie(pdf: Pdf) -> None:
    annotate(pdf, Subtype=Name.Movie, Movie=Dictionary(F=String(f"//{CANARY}/m.avi")))


def external_stream(pdf: Pdf) -> None:
    form = pdf.make_stream(b"", Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 1, 1])
    form.Ref = Dictionary(F=String(f"//{CANARY}/a.pdf"), Page=0)
    form.F = String(f"//{CANARY}/b")
    pdf.pages[0].Resources = Dictionary(XObject=Dictionary(X=form))


def thread_elsewhere(pdf: Pdf) -> None:
    link(pdf, action("Thread", D=0))


KINDS: dict[str, tuple[Callable[[Pdf], object], str]] = {
    "document script": (document_script, "JavaScript (document)"),
    "opening script": (opening_script, "actions that start by themselves (document)"),
    "opening of a site": (opening_of_a_site, "actions that start by themselves (document)"),
    "opening chain": (opening_of_a_page_and_then_a_site, "actions that start by themselves (document)"),
    "AA of the catalog": (additional_on_the_catalog, "actions that start by themselves (document)"),
    "AA of a page": (additional_on_a_page, "actions that start by themselves (page 2)"),
    "AA of an annotation": (additional_on_an_annotation, "actions that start by themselves (page 1)"),
    "AA of a field": (additional_on_a_field, "actions that start by themselves (page 1)"),
    "XFA": (xfa, "XFA form (document)"),
    "outline": (outline, "Launch (document)"),
    "chain": (chain, "JavaScript (page 1), Launch (page 1)"),
    "deep chain": (deep_chain, "JavaScript (page 1)"),
    "embedded file": (embedded, f"attachments (document: '{CANARY}.xml')"),
    "portfolio": (portfolio, f"attachments (document: '{CANARY}.xml')"),
    "file annotation": (attached, f"attachments (page 2: '{CANARY}.xml')"),
    "file from elsewhere": (attached_from_elsewhere, "attachments (page 2)"),
    "associated files": (associated, f"attachments (document, page 1: '{CANARY}.xml')"),
    "rich media": (rich_media, "media (page 1)"),
    "movie": (movie, "media (page 1)"),
    "external stream": (external_stream, "content of other files (page 1)"),
    "thread elsewhere": (thread_elsewhere, "content of other files (page 1)"),
    **{
        kind: (linked(kind), f"{kind} (page 1)")
        for kind in ("Launch", "SubmitForm", "ImportData", "GoToR", "GoToE")
    },
    **{
        kind: (linked(kind), "media (page 1)") for kind in ("Rendition", "Movie", "Sound", "RichMediaExecute")
    },
}


def made(*draw: Callable[[Pdf], object]) -> Pdf:
    """Two pages of 500 × 700 points with a bar each, and what is put in."""
    pdf = pikepdf.new()
    for _ in range(2):
        pdf.add_blank_page(page_size=(500, 700)).obj.Contents = pdf.make_stream(b"50 600 200 40 re f")
    for put in draw:
        put(pdf)
    return pdf


def data_of(pdf: Pdf) -> bytes:
    buffer = io.BytesIO()
    pdf.save(buffer)
    return buffer.getvalue()


def holds(data: bytes, word: str) -> bool:
    """Whether a word is anywhere in a PDF, in its values or in what its streams unpack to."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        return any(
            word.encode() in (entry.read_bytes() if isinstance(entry, pikepdf.Stream) else b"")
            or word
            in str(entry.unparse(resolved=True) if not isinstance(entry, pikepdf.Stream) else dict(entry))
            for entry in pdf.objects
        )
