"""The child process that runs one function of ours at a time, on documents that may be hostile.

It is bounded and told what to do as `process.child` is, and dies with its parent:

    {"op": "run", "document": null, "call": "module:function", "arguments": {…}, "folder"}
        → {"ok", "result"}

`folder` is for its temporary files. A `reason` is `refused`, `memory`, `missing` (a file is not there),
`full` (the disk is) or `broken`, whose `detail` is for the log.
"""

from __future__ import annotations

import errno
import tempfile
from importlib import import_module
from typing import Any

from airgap.core.errors import AirgapError
from process.child import Answer, Failure, serve_alone

LARGEST_FILE = 16 << 30
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def run(request: dict[str, Any]) -> Answer:
    """Raises `Failure`, `AirgapError` or `MemoryError`."""
    module, _, name = request["call"].partition(":")
    tempfile.tempdir = request["folder"]
    try:
        return {"result": getattr(import_module(module), name)(**request["arguments"])}, []
    except (AirgapError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise Failure("missing", str(error)) from error
    except OSError as error:
        raise Failure("full" if error.errno in _FULL else "broken", str(error)) from error
    except Exception as error:
        raise Failure("broken", f"{type(error).__name__}: {error}") from error


def main() -> None:
    serve_alone(run, LARGEST_FILE)
