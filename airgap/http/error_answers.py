"""An error as every answer shows it: `{"error": {"code", "message", "remedy"}, "request_id"}`."""

from __future__ import annotations

from typing import Any

from fastapi.responses import JSONResponse

from airgap.core.errors import AirgapError


def error_body(error: AirgapError, request_id: str) -> dict[str, Any]:
    return {
        "error": {"code": error.code, "message": error.message, "remedy": error.remedy},
        "request_id": request_id,
    }


def error_response(error: AirgapError, request_id: str) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return JSONResponse(error_body(error, request_id), error.status, headers=headers)
