"""The NDJSON routes as another server calls them: `POST /ocr/image` and, for forms, `POST /ocr/pdf`.

The JSON servers have `/ocr/pdf` too: which of the two is meant, the body's type tells.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match

from airgap.dialects.ndjson import stream_image, stream_pdf


class FormRoute(APIRoute):
    """A route for forms alone: to any other body it is not there."""

    def matches(self, scope: MutableMapping[str, Any]) -> tuple[Match, Any]:
        kind = Headers(raw=scope.get("headers", [])).get("content-type", "")
        if not kind.lower().startswith("multipart/form-data"):
            return Match.NONE, {}
        return super().matches(scope)


router = APIRouter(tags=["ndjson"], route_class=FormRoute)
for path, endpoint in (("/ocr/image", stream_image), ("/ocr/pdf", stream_pdf)):
    router.add_api_route(
        path, endpoint, methods=["POST"], response_class=StreamingResponse, include_in_schema=False
    )
