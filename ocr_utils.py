"""What the route files share, under one name: for them, and for a site's own routes.

The rooms behind it are in `airgap.http`.
"""

from airgap.http.forms import (
    Crosscheck,
    FormOptions,
    checked_language,
    checked_max_tokens,
    checked_mode,
    checked_temperature,
    read_options,
    requested_outputs,
)
from airgap.http.responses import (
    content_disposition,
    encode_base64,
    file_response,
    json_from_disk,
    json_in_memory,
    on_thread,
    progress_bar,
    raise_if_failed,
    respond_with_files,
    unless_gone,
    zip_response,
)
from airgap.http.service import (
    Part,
    ReadyService,
    Service,
    ServiceDep,
    ServiceStatus,
    get_ready_service,
    get_service,
)
from airgap.http.uploads import (
    decode_base64,
    display_name,
    save_upload,
    saved_upload,
    temporary_path,
)

__all__ = [
    "Crosscheck",
    "FormOptions",
    "Part",
    "ReadyService",
    "Service",
    "ServiceDep",
    "ServiceStatus",
    "checked_language",
    "checked_max_tokens",
    "checked_mode",
    "checked_temperature",
    "content_disposition",
    "decode_base64",
    "display_name",
    "encode_base64",
    "file_response",
    "get_ready_service",
    "get_service",
    "json_from_disk",
    "json_in_memory",
    "on_thread",
    "progress_bar",
    "raise_if_failed",
    "read_options",
    "requested_outputs",
    "respond_with_files",
    "save_upload",
    "saved_upload",
    "temporary_path",
    "unless_gone",
    "zip_response",
]
