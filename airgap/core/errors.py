"""Every way a request or a start can fail, each with a code, an HTTP status, a message and a remedy.

    AirgapError
    ├── BadRequest 400            invalid_request
    │   ├── InvalidBase64             invalid_base64
    │   ├── InvalidImage              invalid_image        damaged, or not decodable
    │   ├── InvalidPdf                invalid_pdf
    │   ├── EmptyFile                 empty_file
    │   ├── UnsupportedOption         unsupported_option   the engine cannot do what was asked
    │   ├── UrlFetchFailed            url_fetch_failed     an allowed URL did not give a file
    │   └── ClientGone 499            client_gone          nobody waits for the answer; seen in logs alone
    ├── Unauthorized 401          unauthorized         no valid login or key
    │   └── SignInFailed              sign_in_failed       the issuer's answer, or the browser's, is not valid
    ├── Forbidden 403             forbidden            a valid login without the right
    │   └── UrlRefused                url_refused          a URL that this site does not fetch
    ├── NotFound 404              not_found            nothing of this id that the caller may see
    ├── RequestTimeout 408        request_timeout      the rest of a request did not come
    ├── UntrustedHost 421         untrusted_host       the request names a host that is not ours
    ├── Conflict 409              conflict             the name is taken
    ├── QuotaExceeded 429         quota_exceeded       with Retry-After
    ├── UnsupportedMedia 415      unsupported_media    a file of a kind that is not read
    ├── InvalidOption 422         invalid_option       a field with a value out of its range
    │   ├── PdfPasswordRequired       pdf_password_required
    │   └── PageOutOfRange            page_out_of_range
    ├── TooLarge 413              too_large
    │   ├── UploadTooLarge            upload_too_large     bytes
    │   ├── ImageTooLarge             image_too_large      pixels
    │   ├── TooManyPages              too_many_pages
    │   └── ExportTooLarge            export_too_large     writing a result takes too long or too much memory
    ├── FeatureDisabled 501       feature_disabled
    ├── EngineUnavailable 503     engine_unavailable
    │   ├── EngineBusy 503            engine_busy          with Retry-After
    │   ├── DatabaseUnavailable 503   database_unavailable with Retry-After
    │   ├── JobsUnavailable 503       jobs_unavailable     the jobs' database or folder cannot be used
    │   ├── TooManyJobs 503           too_many_jobs        with Retry-After
    │   └── StorageFull 503           storage_full         with Retry-After
    ├── IssuerUnavailable 503     issuer_unavailable   the site's issuer of logins gives no proper answer
    ├── PageTimeout 504           page_timeout
    ├── EngineFailed 500          engine_failed        reading broke; the page is lost, not the server
    ├── PageRenderFailed 500      page_render_failed   only inside a page's `error`
    ├── ExportFailed 500          export_failed        the text was read, one output format of it failed
    └── ConfigurationError        bad_configuration    stops the start

The message says what is wrong with *this* input and the remedy what its sender can do next. Neither
holds paths, stack traces or the text of a document. This module imports the standard library alone.
"""

from __future__ import annotations

from airgap.core.document import PageError

MOST_CHARS = 2000
"""Most characters of a message and of a remedy."""


def _shortened(text: str) -> str:
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 1]}…"


class AirgapError(Exception):
    """The root. `remedy` falls back to the class's own."""

    code = "internal_error"
    status = 500
    default_remedy = "Look in the server's log for the request id, and report it."
    read_again = False  # set where another engine would take the page, had nothing been handed out yet

    def __init__(self, message: str, remedy: str | None = None, *, retry_after: int | None = None) -> None:
        self.message = _shortened(message)  # it may repeat what was sent, of any length
        super().__init__(self.message)
        self.remedy = _shortened(remedy or self.default_remedy)
        self.retry_after = retry_after

    def as_page_error(self) -> PageError:
        return PageError(self.code, self.message, self.remedy)


class BadRequest(AirgapError):
    code = "invalid_request"
    status = 400
    default_remedy = "See /docs for the fields of this route."


class InvalidBase64(BadRequest):
    code = "invalid_base64"
    default_remedy = "Send standard base64, with or without a `data:image/png;base64,` prefix."


class InvalidImage(BadRequest):
    code = "invalid_image"
    default_remedy = "Open the file in an image viewer; if it shows, save it again as PNG and send that."


class InvalidPdf(BadRequest):
    code = "invalid_pdf"
    default_remedy = "Repair the file, for instance with `qpdf in.pdf out.pdf`, and send it again."


class EmptyFile(BadRequest):
    code = "empty_file"
    default_remedy = "Check that the upload names an existing file: `-F file=@page.png`."


class UnsupportedOption(BadRequest):
    code = "unsupported_option"
    default_remedy = "GET /info shows what the running engine can do."


class UrlFetchFailed(BadRequest):
    code = "url_fetch_failed"
    default_remedy = "Fetch the file yourself and send it in the request."


class ClientGone(BadRequest):
    code = "client_gone"
    status = 499
    default_remedy = "Wait for the answer, or send a job."


class Unauthorized(AirgapError):
    code = "unauthorized"
    status = 401
    default_remedy = "Send `Authorization: Bearer …` with a token from /api/auth/token, or an API key."


class SignInFailed(Unauthorized):
    code = "sign_in_failed"
    default_remedy = "Begin again at /api/auth/oidc/login, in one browser that keeps cookies."


class Forbidden(AirgapError):
    code = "forbidden"
    status = 403
    default_remedy = "Ask an administrator of this site."


class UrlRefused(Forbidden):
    code = "url_refused"
    default_remedy = "Send the file in the request, or have the site list the host in URL_FETCH_ALLOWLIST."


class NotFound(AirgapError):
    code = "not_found"
    status = 404
    default_remedy = "Check the id; what belongs to somebody else is not found either."


class RequestTimeout(AirgapError):
    code = "request_timeout"
    status = 408
    default_remedy = "Send the request again over a connection that does not stall."


class UntrustedHost(AirgapError):
    code = "untrusted_host"
    status = 421
    default_remedy = "Use the server's address, or have the site add the name to TRUSTED_HOSTS."


class Conflict(AirgapError):
    code = "conflict"
    status = 409
    default_remedy = "Choose another name."


class QuotaExceeded(AirgapError):
    code = "quota_exceeded"
    status = 429
    default_remedy = "Try again after the seconds named in the Retry-After header, or ask for a larger quota."


class UnsupportedMedia(AirgapError):
    code = "unsupported_media"
    status = 415
    default_remedy = "Send PNG, JPEG, WebP, TIFF, BMP, GIF, HEIC, AVIF or JPEG 2000; PDFs go to /pdf/ocr."


class InvalidOption(AirgapError):
    code = "invalid_option"
    status = 422
    default_remedy = "See /docs for the values this field takes."


class PdfPasswordRequired(InvalidOption):
    code = "pdf_password_required"
    default_remedy = "Send the password in the `password` field."


class PageOutOfRange(InvalidOption):
    code = "page_out_of_range"
    default_remedy = "Choose `page_from` and `page_to` within the document."


class TooLarge(AirgapError):
    code = "too_large"
    status = 413
    default_remedy = "Send less at once."


class UploadTooLarge(TooLarge):
    code = "upload_too_large"
    default_remedy = "Send a smaller file, or have the site raise MAX_UPLOAD_MB."


class ImageTooLarge(TooLarge):
    code = "image_too_large"
    default_remedy = "Scale the picture down, or have the site raise MAX_IMAGE_PIXELS."


class TooManyPages(TooLarge):
    code = "too_many_pages"
    default_remedy = "Ask for a range with `page_from` and `page_to`, or have the site raise PDF_MAX_PAGES."


class ExportTooLarge(TooLarge):
    code = "export_too_large"
    default_remedy = (
        "Ask for fewer pages or another output format, or have the site raise EXPORT_TIMEOUT_SECONDS "
        "or EXPORT_MEMORY_MB."
    )


class FeatureDisabled(AirgapError):
    code = "feature_disabled"
    status = 501
    default_remedy = "GET / says why this feature is off."


class EngineUnavailable(AirgapError):
    code = "engine_unavailable"
    status = 503
    default_remedy = "GET /readyz says why; try again once it answers 200."


class EngineBusy(EngineUnavailable):
    code = "engine_busy"
    default_remedy = "Try again after the seconds named in the Retry-After header."


class DatabaseUnavailable(EngineUnavailable):
    code = "database_unavailable"
    default_remedy = "Try again soon; the site checks the server of DATABASE_URL, or the disk under DATA_DIR."


class JobsUnavailable(EngineUnavailable):
    code = "jobs_unavailable"
    default_remedy = "Try again soon; GET / says why jobs cannot be taken."


class TooManyJobs(EngineUnavailable):
    code = "too_many_jobs"
    default_remedy = "Try again after the seconds named in the Retry-After header."


class StorageFull(EngineUnavailable):
    code = "storage_full"
    default_remedy = "Try again later, or have the site make room in DATA_DIR."


class IssuerUnavailable(AirgapError):
    code = "issuer_unavailable"
    status = 503
    default_remedy = "Try again soon; the site checks OIDC_ISSUER, and the server's log says more."


class PageTimeout(AirgapError):
    code = "page_timeout"
    status = 504
    default_remedy = "Send the page at a lower resolution, or have the site raise PAGE_TIMEOUT_SECONDS."


class EngineFailed(AirgapError):
    code = "engine_failed"
    status = 500
    default_remedy = "Send the page again; if it fails again, look in the server's log for the request id."


class PageRenderFailed(AirgapError):
    code = "page_render_failed"
    status = 500
    default_remedy = "Print the page to a new PDF or an image with a viewer that shows it, and send that."


class ExportFailed(AirgapError):
    code = "export_failed"
    status = 500
    default_remedy = "Ask for another output format; the text itself was read."


class ConfigurationError(AirgapError):
    code = "bad_configuration"
    status = 500
    default_remedy = "Correct the named setting and start again; docs/configuration.md lists them all."


def from_page_error(error: PageError) -> AirgapError:
    """The exception that a page's `error` was made of, for routes where a page is the whole answer."""
    kinds = {kind.code: kind for kind in _all_kinds(AirgapError)}
    return kinds.get(error.code, AirgapError)(error.message, error.remedy)


def _all_kinds(kind: type[AirgapError]) -> list[type[AirgapError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in _all_kinds(child))]
