"""What is read and written, and within which bounds."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from airgap.settings.section import CommaSeparated, Section


class FileSettings(Section):
    """Uploads, PDFs, pictures, fetched files, results."""

    enable_pdf_support: bool = Field(
        True, description="Read PDFs. Off, routes of one file answer 501; batches and jobs name it as failed."
    )
    pdf_max_pages: int = Field(5000, ge=1, description="Most pages read from one document.")
    pdf_over_max_pages: Literal["refuse", "first"] = Field(
        "refuse",
        description="A document with more pages than PDF_MAX_PAGES: `refuse` it, or read the `first` so many "
        "and say so in a warning.",
    )
    pdf_page_timeout_seconds: float = Field(
        30, gt=0, description="Longest time one PDF page may take to draw."
    )
    pdf_page_memory_mb: int = Field(
        2048, ge=256, description="Memory bound of a process that draws PDF pages."
    )
    image_timeout_seconds: float = Field(
        30, gt=0, description="Longest time one picture, or a frame of one, may take to decode."
    )
    image_memory_mb: int = Field(
        1280, ge=256, description="Memory bound of a process that decodes pictures. 100 megapixels fit."
    )
    pixel_budget_megapixels: int | None = Field(
        None,
        ge=1,
        description="Pages that are decoded and not yet read, over all requests, in millions of pixels of 4 "
        "bytes. A larger page is let in alone. Unset: an eighth of the memory of container or machine.",
    )
    max_upload_mb: int = Field(200, ge=1, description="Most bytes of one request, in MiB.")
    max_image_pixels: int = Field(
        100_000_000, ge=10_000, description="Most pixels of one picture or rendered page."
    )
    allow_url_fetch: bool = Field(False, description="Fetch files that a request names by URL.")
    url_fetch_allowlist: CommaSeparated = Field(
        (),
        description="What may be fetched: host names (`files.example`, `*.example`, `host:8080`), and the "
        "private addresses or networks behind them (`10.1.0.0/16`). `*` is any host with a public address.",
    )
    url_fetch_timeout_seconds: float = Field(30, gt=0, description="Longest time one fetch may take.")
    files_ttl_hours: float = Field(
        24, gt=0, description="A file that was sent to `/v1/files` is erased after this time, at the latest."
    )
    files_max_mb_per_caller: int = Field(
        2048, ge=1, description="Most bytes of the files that one caller keeps under `/v1/files`, in MiB."
    )
    export_workers: int = Field(
        2, ge=1, description="Processes that write results (DOCX, searchable PDF, ZIP and the like) at once."
    )
    export_timeout_seconds: float = Field(
        120, gt=0, description="Longest time one result may take to be written, besides 5 s for each page."
    )
    export_memory_mb: int = Field(1280, ge=512, description="Memory bound of a process that writes results.")

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mb * 1024 * 1024
