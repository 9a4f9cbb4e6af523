"""The page for people, under /ui/: static files that `web/` was built into.

It knows files and headers, and nothing of reading. Where the page was not built, the feature is off
and says how to build it; the API is the same without it.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

_HERE = Path(__file__).resolve()
_PLACES = (_HERE.parent / "page", _HERE.parents[2] / "web" / "dist")
"""Where a wheel has it, and where a checkout and the images do."""

PAGE = next((place for place in _PLACES if (place / "index.html").is_file()), _PLACES[-1])

# Scripts, styles and fonts are files of this server: nothing inline, nothing evaluated, nothing from
# elsewhere. `data:` pictures are the icons inside the style sheet; pages are drawn on canvases.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types dompurify"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
COMPRESSED = frozenset({".html", ".js", ".css", ".svg", ".json"})

router = APIRouter(include_in_schema=False)


def unavailable() -> str | None:
    """Why there is no page, or None where there is one."""
    if (PAGE / "index.html").is_file():
        return None
    return "the page is not built; `make web` builds it where Node 20.19 or later is installed"


@router.get("/ui")
async def without_slash() -> RedirectResponse:
    return RedirectResponse("/ui/")


@router.get("/ui/{path:path}")
async def page(path: str, request: Request) -> Response:
    """One file of the page. What is named after its content may be kept for ever."""
    response = await _files().get_response(path or "index.html", request.scope)
    response.headers.update(HEADERS)
    named_by_content = path.startswith("assets/")
    response.headers["Cache-Control"] = (
        "public, max-age=31536000, immutable" if named_by_content else "no-cache"
    )
    found = getattr(response, "path", None)
    if response.status_code == 200 and found and Path(found).suffix in COMPRESSED:
        response.headers["Vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            return _compressed(response, Path(found))
    return response


@lru_cache(1)
def _files() -> StaticFiles:
    return StaticFiles(directory=PAGE)


def _compressed(response: Response, path: Path) -> Response:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    body = _gzip(path, path.stat().st_mtime_ns)
    return Response(body, headers=headers | {"Content-Encoding": "gzip"})


@lru_cache(256)
def _gzip(path: Path, _changed: int) -> bytes:
    """The file, compressed once for as long as it is unchanged."""
    return gzip.compress(path.read_bytes(), 9, mtime=0)
