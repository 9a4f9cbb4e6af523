"""Each name of PDF that acts, reaches out or carries files, put into a document of one page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from airgap.exporters.active_content import active_content, take_off

Put = Callable[[pikepdf.Pdf], None]


def found(put: Put) -> list[tuple[str, int | None, str]]:
    """What is found, and that nothing is once it was taken off."""
    pdf = pikepdf.new()
    pdf.add_blank_page(page_size=(100, 100))
    put(pdf)
    findings = active_content(pdf)
    told = [(finding.kind, finding.page, finding.name) for finding in findings]
    take_off(findings)
    assert active_content(pdf) == []
    return told


def link(**action: Any) -> Put:
    """An action behind a link on the page."""

    def put(pdf: pikepdf.Pdf) -> None:
        made = Dictionary(
            {f"/{name}": Name(value) if name == "S" else value for name, value in action.items()}
        )
        annotation = Dictionary(Type=Name.Annot, Subtype=Name.Link, A=made)
        pdf.pages[0].obj["/Annots"] = Array([pdf.make_indirect(annotation)])

    return put


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        *((name, name) for name in ("JavaScript", "Launch", "SubmitForm", "ImportData", "GoToR", "GoToE")),
        *((name, "media") for name in ("Rendition", "Movie", "Sound", "RichMediaExecute")),
    ],
)
def test_what_an_action_does(action: str, kind: str) -> None:
    assert found(link(S=f"/{action}")) == [(kind, 1, "")]


HARMLESS = [
    *("GoTo", "GoToDp", "GoTo3DView", "Hide", "Named"),
    *("ResetForm", "SetOCGState", "Thread", "Trans", "URI"),
]


@pytest.mark.parametrize("action", [*HARMLESS, "Unknown"])
def test_actions_that_a_reader_has_to_click_stay(action: str) -> None:
    assert found(link(S=f"/{action}")) == []


def test_a_thread_of_another_file_is_content_of_it() -> None:
    assert found(link(S="/Thread", F=String("other.pdf"))) == [("content of other files", 1, "")]


@pytest.mark.parametrize("action", HARMLESS)
def test_what_starts_by_itself_is_active_wherever_it_leads(action: str) -> None:
    def put(pdf: pikepdf.Pdf) -> None:
        pdf.pages[0].obj["/AA"] = Dictionary(O=Dictionary(S=Name(f"/{action}")))

    assert found(put) == [("actions that start by themselves", 1, "")]


@pytest.mark.parametrize(
    ("subtype", "key", "kind"),
    [
        ("FileAttachment", "FS", "attachments"),
        ("Movie", "Movie", "media"),
        ("Sound", "Sound", "media"),
        ("RichMedia", "RichMediaContent", "media"),
        ("RichMedia", "RichMediaSettings", "media"),
        ("3D", "3DD", "media"),
    ],
)
def test_annotations_that_carry_something(subtype: str, key: str, kind: str) -> None:
    def put(pdf: pikepdf.Pdf) -> None:
        annotation = Dictionary(Type=Name.Annot, Subtype=Name(f"/{subtype}"))
        annotation[f"/{key}"] = Dictionary(Kept=1)
        pdf.pages[0].obj["/Annots"] = Array([annotation])

    assert found(put) == [(kind, 1, "")]


@pytest.mark.parametrize("key", ["F", "UF", "DOS", "Mac", "Unix"])
def test_files_by_each_of_their_names(key: str) -> None:
    def put(pdf: pikepdf.Pdf) -> None:
        files = Dictionary()
        files[f"/{key}"] = pdf.make_stream(b"data")
        pdf.Root["/Kept"] = Dictionary(Type=Name.Filespec, F=String("a.txt"), UF=String("b.txt"), EF=files)

    assert found(put) == [("attachments", None, "b.txt")]


@pytest.mark.parametrize(
    ("at", "key", "kind"),
    [
        (None, "Collection", "attachments"),
        (None, "NeedsRendering", "XFA form"),
        ("Names", "JavaScript", "JavaScript"),
        ("Names", "EmbeddedFiles", "attachments"),
        ("Names", "Renditions", "media"),
        ("AcroForm", "XFA", "XFA form"),
    ],
)
def test_entries_of_the_catalog(at: str | None, key: str, kind: str) -> None:
    def put(pdf: pikepdf.Pdf) -> None:
        if at:
            pdf.Root[f"/{at}"] = Dictionary()
        holder = pdf.Root[f"/{at}"] if at else pdf.Root
        holder[f"/{key}"] = Dictionary()

    assert found(put) == [(kind, None, "")]


@pytest.mark.parametrize(
    ("action", "starts"),
    [
        (Array([0, Name.Fit]), False),
        (Name.First, False),
        (String("first"), False),
        (Dictionary(S=Name.GoTo), False),
        (Dictionary(S=Name.GoTo, Next=Dictionary(S=Name.GoTo)), True),
        (Dictionary(S=Name.URI), True),
        (Dictionary(S=Name.Named), True),
    ],
)
def test_what_is_done_on_opening(action: Any, starts: bool) -> None:
    def put(pdf: pikepdf.Pdf) -> None:
        pdf.Root["/OpenAction"] = action

    assert found(put) == ([("actions that start by themselves", None, "")] if starts else [])


@pytest.mark.parametrize("key", ["F", "Ref"])
def test_a_stream_may_take_its_data_from_elsewhere(key: str) -> None:
    def put(pdf: pikepdf.Pdf) -> None:
        stream = pdf.make_stream(b"data")
        stream[f"/{key}"] = String("other.bin")
        pdf.pages[0].obj["/Kept"] = stream

    assert found(put) == [("content of other files", 1, "")]
