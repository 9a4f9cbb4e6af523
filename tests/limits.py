"""Every limit of the server, with its default, what happens past it, and the test that goes past it.

    python -m tests.limits > docs/limits.md

Defaults and units come from the settings and from the code itself.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from airgap.accounts import limits as rates
from airgap.accounts import login_audit, service, weak_passwords
from airgap.core import errors, json_text
from airgap.core.errors import AirgapError
from airgap.dialects import openai_request, page_lists
from airgap.http import addresses, bodies, json_bodies, protocol, room
from airgap.jobs import reading, unpack
from config import Settings
from process import decode, pdf_text, picture_source

ERROR_TESTS = "tests/http/test_errors.py::test_code"


@dataclass(frozen=True, slots=True)
class Limit:
    """`name` is a setting in capitals or what a person calls it; `default` None is that of the setting.

    `error` is what a request past it gets; `past` says it in words. `test` goes past it.
    """

    name: str
    past: str
    test: str
    error: type[AirgapError] | None = None
    default: object = None
    unit: str = ""

    def shown(self) -> str:
        found = self.default
        if found is None:
            found = Settings.model_fields[self.name.lower()].default
        if isinstance(found, int | float):
            found = f"{found:,}".replace(",", " ")
        return "none" if found is None else f"{found} {self.unit}".strip()

    def answer(self) -> str:
        return f"{self.error.status} `{self.error.code}`" if self.error else "-"


LIMITS = (
    Limit("MAX_UPLOAD_MB", "The request is refused, by its length or as soon as it has streamed past.",
          ERROR_TESTS, errors.UploadTooLarge, unit="MiB"),
    Limit("Body of `/api/auth/…`", "The same, for routes that are open to all.",
          "tests/http/test_bodies.py::test_open_routes_take_little",
          errors.UploadTooLarge, bodies.OPEN_BODY_BYTES, "bytes"),
    Limit("Depth of JSON", "The request is refused while it comes in.",
          "tests/http/test_json_bodies.py::test_json_may_be_so_deep_and_no_deeper",
          errors.TooLarge, json_bodies.JSON_DEPTH, "levels"),
    Limit("Parts of JSON", "The same; brackets, commas and strings are counted.",
          "tests/http/test_json_bodies.py::test_json_may_have_so_many_parts_and_no_more",
          errors.TooLarge, json_bodies.JSON_TOKENS),
    Limit("A text in JSON that is not plain ASCII", "The same.",
          "tests/http/test_json_bodies.py::test_a_wide_text_may_be_so_long_and_no_longer",
          errors.TooLarge, json_bodies.JSON_TEXT_BYTES, "bytes"),
    Limit("JSON beside its texts of more than 4 KiB", "The same.",
          "tests/http/test_json_bodies.py::test_beside_its_long_texts_a_body_is_so_large_and_no_larger",
          errors.TooLarge, json_bodies.JSON_REST_BYTES, "bytes"),
    Limit("A name or a choice in JSON", "The request is refused.",
          "tests/http/test_json_bodies.py::test_a_word_of_any_length_gets_a_short_answer",
          errors.InvalidOption, json_bodies.WORD_CHARS, "characters"),
    Limit("Pages that one list names", "The same, before the list is made.",
          "tests/dialects/test_page_lists.py::test_a_list_is_refused_before_it_is_made",
          errors.InvalidOption, page_lists.MOST_PAGES, "pages"),
    Limit("A URL that is fetched", "The same; fetching is off by default.",
          "tests/dialects/test_url_fetch.py::test_a_url_may_be_so_long_and_no_longer",
          errors.UrlRefused, addresses.MAX_URL_CHARS, "characters"),
    Limit("Text of a chat's message", "The request is refused.",
          "tests/dialects/test_openai_api.py::test_a_text_may_be_so_long_and_no_longer",
          errors.TooLarge, openai_request.PROMPT_CHARS, "characters"),
    Limit("Time between two pieces of a body", "The request is given up.",
          "tests/http/test_bodies.py::test_half_a_body_is_not_waited_for",
          errors.RequestTimeout, bodies.BODY_SECONDS, "s"),
    Limit("Time for a request's head", "The connection is closed.",
          "tests/http/test_bodies.py::test_half_a_head_is_not_waited_for", None, protocol.HEAD_SECONDS, "s"),
    Limit("MAX_QUEUE", "The request is refused, with Retry-After.",
          "tests/http/test_errors.py::test_a_full_queue_is_busy_and_says_when_to_come_back",
          errors.EngineBusy, unit="requests"),
    Limit("MAX_IMAGE_PIXELS", "The picture is refused by its header; of several frames, that one fails.",
          ERROR_TESTS, errors.ImageTooLarge, unit="pixels"),
    Limit("PDF_MAX_PAGES", "The document is refused; a range of it may be asked for.",
          ERROR_TESTS, errors.TooManyPages, unit="pages"),
    *(
        Limit(name, "The page is read from its pixels, with a warning.",
              "tests/process/test_text_layer.py::test_more_text_than_a_page_holds_is_not_taken",
              None, most)
        for name, most in (
            ("Lines of a PDF page whose own text is taken", pdf_text.MOST_LINES),
            ("Characters of such a page", pdf_text.MOST_CHARACTERS),
            ("Characters of a line of it", pdf_text.MOST_IN_A_LINE),
        )
    ),
    Limit("Depth of JSON in a field or a model's answer", "The field is refused; the answer is none.",
          "tests/dialects/test_extract.py::test_shapes_that_are_none_are_refused",
          errors.InvalidOption, json_text.LEVELS, "levels"),
    Limit("IMAGE_TIMEOUT_SECONDS", "The picture, or its frame, fails; after three the file is given up.",
          "tests/process/test_hostile_pictures.py"
          "::test_a_picture_without_end_costs_itself_alone_and_not_for_ever",
          errors.PageTimeout, unit="s"),
    Limit("IMAGE_MEMORY_MB", "The picture fails.",
          "tests/process/test_hostile_pictures.py::test_a_picture_that_eats_memory_costs_itself_alone",
          errors.ImageTooLarge, unit="MB"),
    Limit("Scans of a JPEG", "The picture is refused unseen.",
          "tests/process/test_hostile_pictures.py::test_thousands_of_scans_are_refused_unseen",
          errors.InvalidImage, decode.MAX_SCANS),
    Limit("Frames of an animation times its pixels", "The file is refused; earlier frames may be asked for.",
          "tests/process/test_hostile_pictures.py"
          "::test_a_late_frame_of_a_large_animation_is_refused_before_it_is_drawn",
          errors.ImageTooLarge, picture_source.MAX_WALKED_PIXELS, "pixels"),
    Limit("PIXEL_BUDGET_MEGAPIXELS", "The page waits; a larger one is let in alone.",
          "tests/process/test_work.py::test_pixels_and_pages_are_bounded",
          default="an eighth of the memory, at 4 bytes a pixel"),
    Limit("EXPORT_TIMEOUT_SECONDS", "The result is given up. 5 s more for each page.",
          "tests/process/test_tasks.py::test_too_long_is_too_large", errors.ExportTooLarge, unit="s"),
    Limit("EXPORT_MEMORY_MB", "The same.",
          "tests/process/test_tasks.py::test_what_goes_wrong_is_said", errors.ExportTooLarge, unit="MB"),
    Limit("Disk that uploads leave free", "The upload is refused before it is taken, with Retry-After.",
          "tests/http/test_room.py::test_no_room_is_said_before_anything_is_taken",
          errors.StorageFull, room.KEPT_FREE, "bytes"),
    Limit("Directory of a ZIP", "The archive is refused before its entries are read.",
          "tests/jobs/test_turns_and_plan.py"
          "::test_a_zip_of_millions_of_entries_is_refused_before_they_are_read",
          errors.TooLarge, unpack.MAX_READ, "bytes"),
    Limit("PAGE_TIMEOUT_SECONDS", "The page fails, alone where there are others.",
          ERROR_TESTS, errors.PageTimeout, unit="s"),
    Limit("MAX_JOBS", "The job is refused, with Retry-After.",
          "tests/jobs/test_routes.py::test_bounds_cancel_partial_results_and_small_jobs_past_large_ones",
          errors.TooManyJobs, unit="unfinished jobs"),
    Limit("MAX_JOBS_PER_CALLER", "The same, for one caller.",
          "tests/jobs/test_routes.py::test_bounds_cancel_partial_results_and_small_jobs_past_large_ones",
          errors.QuotaExceeded, unit="unfinished jobs"),
    Limit("RESULT_TTL_HOURS", "A finished job and all that is of it are erased.",
          "tests/jobs/test_erasing.py::test_nothing_of_a_document_is_left_past_its_time", unit="h"),
    Limit("Tries of a job's page", "A page that took so many servers down with it is given up, and failed.",
          "tests/jobs/test_crash.py::test_a_page_that_killed_its_server_again_and_again_is_given_up",
          None, reading.MAX_TRIES),
    Limit("KEY_PAGES_PER_DAY", "A document with more pages than are left is refused, with Retry-After.",
          "tests/accounts/test_quotas.py::test_a_document_with_more_pages_than_are_left",
          errors.QuotaExceeded, unit="pages"),
    Limit("KEY_REQUESTS_PER_MINUTE", "The request is refused, with Retry-After.",
          "tests/accounts/test_accounts_http.py::test_requests_a_minute",
          errors.QuotaExceeded, unit="requests"),
    Limit("Wrong passwords of a client for an account", "Refused unread with Retry-After, the right one too.",
          "tests/accounts/test_login_limits.py::"
          "test_many_guesses_at_once_are_no_more_than_one_after_the_other",
          errors.QuotaExceeded, service.WRONG_PASSWORDS, f"in {service.WRONG_PASSWORDS_SECONDS:g} s"),
    Limit("Clients whose rates are kept", "The one that was quiet longest is forgotten.",
          "tests/accounts/test_credentials.py::test_rates_do_not_grow_for_ever", None, rates.MAX_ENTRIES),
    Limit("Refused logins in the audit log", "Summed up, an entry an account and client.",
          "tests/accounts/test_login_limits.py::test_the_audit_log_says_whose_logins_failed_from_where",
          None, f"every {login_audit.SUMMED_SECONDS:g} s"),
    Limit("Length of a password", "The password is not taken.",
          "tests/accounts/test_credentials.py::test_passwords_have_bounds",
          errors.InvalidOption, weak_passwords.MIN_CHARS, "characters or more"),
    Limit("URL_FETCH_TIMEOUT_SECONDS", "The fetch is given up.",
          "tests/dialects/test_url_fetch.py::test_a_body_that_drips_ends_with_the_time",
          errors.UrlFetchFailed, unit="s"),
)  # fmt: skip


def to_markdown() -> str:
    """The text of docs/limits.md."""
    rows = [
        "# Limits",
        "",
        "Made from the code by `make docs`; do not edit. Names in capitals are settings (configuration.md).",
        "",
        "| Limit | Default | Past it | Answer |",
        "|---|---|---|---|",
    ]
    rows += [f"| {_name(row)} | {row.shown()} | {row.past} | {row.answer()} |" for row in LIMITS]
    return "\n".join(rows) + "\n"


def _name(row: Limit) -> str:
    return f"`{row.name}`" if row.name.isupper() else row.name


if __name__ == "__main__":
    sys.stdout.write(to_markdown())
