"""Searchable PDFs carry no script, no action and no file of what was uploaded, unless that is asked for."""

from __future__ import annotations

import io
from pathlib import Path

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, Pdf, String

from airgap.core.opening import Opening
from airgap.exporters import export_file
from airgap.exporters.active_content import active_content, in_words, take_off
from airgap.exporters.searchable_pdf import KEPT, NOT_PDFA, REMOVED, UNSIGNED
from process.pages import Limits, open_source
from tests.exporters import active_pdfs
from tests.exporters.active_pdfs import CANARY, KINDS, LINK, data_of, harmless, holds, link, made, script
from tests.exporters.factory import document
from tests.exporters.test_searchable_kinds import page_with

READ = page_with("printed words", 122, 602, 400, 638)


def cleaned(pdf: Pdf) -> tuple[str, bytes]:
    """What was found in a PDF, in words, and the PDF without it, written and read as any."""
    with pikepdf.open(io.BytesIO(data_of(pdf))) as opened:
        found = active_content(opened)
        take_off(found)
        return in_words(found), data_of(opened)


def searchable(data: bytes, path: Path, *, keep: bool = False) -> tuple[str, ...]:
    with open_source(
        data, name="a.pdf", limits=Limits(), opening=Opening(keep_active_content=keep)
    ) as source:
        return export_file("pdf", document(READ), source, path)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_found_named_and_taken_off(kind: str) -> None:
    put, words = KINDS[kind]
    pdf = made(put)
    assert holds(data_of(pdf), CANARY)
    said, data = cleaned(pdf)
    assert words in said
    assert not holds(data, CANARY)
    assert cleaned(pikepdf.open(io.BytesIO(data)))[0] == ""


def values(data: bytes) -> list[bytes]:
    with pikepdf.open(io.BytesIO(data)) as pdf:
        return [
            entry.unparse(resolved=True) for entry in pdf.objects if not isinstance(entry, pikepdf.Stream)
        ]


def test_what_a_reader_clicks_or_sees_stays() -> None:
    pdf = made(lambda pdf: link(pdf, harmless()), active_pdfs.field)
    pdf.Root.OpenAction = Dictionary(S=Name.GoTo, D=[pdf.pages[1].obj, Name.Fit])
    font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
    mask = Dictionary(SMask=Dictionary(S=Name.Luminosity))
    named = Dictionary(Font=Dictionary(EF=font, AF=font), ExtGState=Dictionary(AA=mask, A=mask))
    pdf.pages[0].obj.Resources = named
    pdf.Root.StructTreeRoot = Dictionary(Type=Name.StructTreeRoot, K=[Dictionary(S=Name.P, K=0)])
    before = data_of(pdf)
    said, after = cleaned(pdf)
    assert said == ""
    assert values(after) == values(before)


def test_a_link_keeps_what_is_harmless_of_its_chain() -> None:
    _, data = cleaned(made(active_pdfs.chain))
    with pikepdf.open(io.BytesIO(data)) as pdf:
        last = pdf.pages[0].obj.Annots[0].A.Next.Next
        assert [does.URI for does in last] == [LINK, LINK]


def circles(pdf: Pdf) -> None:
    one, other = pdf.make_indirect(harmless()), pdf.make_indirect(script())
    one.Next, other.Next = Array([one, other, one]), one
    link(pdf, one)
    link(pdf, other, 1)
    node = pdf.make_indirect(Dictionary(Names=[String("a"), other]))
    node.Kids = Array([node, node])
    pdf.Root.Names = Dictionary(JavaScript=node, EmbeddedFiles=node)
    pdf.Root.AcroForm = Dictionary(Fields=[pdf.Root, node, pdf.pages[0].obj])
    pdf.pages[1].obj.Self = pdf.Root


def wrong_kinds(pdf: Pdf) -> None:
    pdf.Root.Names, pdf.Root.AcroForm, pdf.Root.OpenAction = Array([1, True]), String("x"), Dictionary(S=1)
    pdf.Root.AF, pdf.Root.AA, pdf.Root.Collection = 7, Array([script()]), 2
    pdf.pages[0].obj.Annots = Array([1, None, Array([]), Dictionary(Subtype=3, A=5, AA=Name.X, FS=True)])
    pdf.pages[1].obj.AA = Dictionary(O=1, C=Dictionary(S=String("JavaScript")), X=script())
    pdf.pages[1].obj.EF = Dictionary(F=1.5)


@pytest.mark.parametrize("put", [circles, wrong_kinds])
def test_files_that_go_in_circles_or_lie_are_finished(put) -> None:
    said, data = cleaned(made(put))
    assert "JavaScript" in said
    assert not holds(data, CANARY)


def test_a_broken_file_is_mended_and_cleaned() -> None:
    data = data_of(made(KINDS["chain"][0]))
    broken = data[: data.rindex(b"startxref")].replace(b"/Rotate 0", b"/Gone 99 0 R")
    with pikepdf.open(io.BytesIO(broken)) as pdf:
        said, cleaned_data = cleaned(pdf)
    assert said == KINDS["chain"][1]
    assert not holds(cleaned_data, CANARY)


def test_many_long_names_make_a_short_warning() -> None:
    def put(pdf: Pdf) -> None:
        names = [f"{n}\n\u202e{'長' * 500}.exe" for n in range(300)]
        pdf.Root.AF = Array([active_pdfs.file_spec(pdf, name) for name in names])

    said, _ = cleaned(made(put))
    assert "and 295 more" in said
    assert len(said) < 400
    assert said.isprintable()


def test_a_searchable_pdf_has_none_and_the_warning_lists_it(tmp_path: Path) -> None:
    path = tmp_path / "s.pdf"
    (warning,) = searchable(data_of(made(*(KINDS[kind][0] for kind in ("Launch", "embedded file")))), path)
    assert warning == REMOVED.format(f"attachments (document: '{CANARY}.xml'), Launch (page 1)")
    assert not holds(path.read_bytes(), CANARY)


def test_all_of_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.pdf"
    warnings = searchable(
        data_of(made(*(put for put, _ in KINDS.values() if put is not active_pdfs.additional_on_a_field))),
        path,
    )
    assert any(warning.startswith(REMOVED.format("")) for warning in warnings)
    assert not holds(path.read_bytes(), CANARY)
    with pikepdf.open(path) as pdf:
        assert pdf.Root.AcroForm.Fields[0].T == "surname"


@pytest.mark.slow
def test_it_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "s.pdf"
    data = data_of(made(KINDS["document script"][0]))
    warnings = searchable(data, path, keep=True)
    assert warnings == (NOT_PDFA, KEPT.format("JavaScript (document)"))
    with pikepdf.open(path) as pdf:
        assert CANARY in str(pdf.Root.Names.JavaScript.Names[1].JS)
    assert searchable(data_of(made()), path, keep=True) == ()


@pytest.mark.parametrize("keep", [False, True])
def test_a_signed_file_loses_its_signature_and_is_said_to(keep: bool, tmp_path: Path) -> None:
    path = tmp_path / "s.pdf"
    pdf = made(KINDS["AA of a field"][0], lambda pdf: link(pdf, script()))
    signed = pdf.Root.AcroForm.Fields[0]
    signed.FT, signed.V = Name.Sig, Dictionary(Type=Name.Sig, Contents=b"0", Filter=Name("/Adobe.PPKLite"))
    warnings = searchable(data_of(pdf), path, keep=keep)
    assert UNSIGNED in warnings
    with pikepdf.open(path) as written:
        assert "/V" not in written.Root.AcroForm.Fields[0]
    assert holds(path.read_bytes(), CANARY) is keep
