"""A server on the fake engine that writes down, in the file READ_LOG, each page it begins and ends to read.

Lines are written whole and at once, so that what stands there is what happened, whenever it is killed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from PIL.Image import Image

from airgap.core.document import ReadOptions
from airgap.core.engine import Events, PageRead
from airgap.engines import table
from airgap.engines.fake import FakeEngine, dark_rectangles
from airgap.engines.table import EngineSpec


class LoggedEngine(FakeEngine):
    """The fake engine, with a diary."""

    async def read(self, images: Sequence[Image], options: ReadOptions) -> Events:
        page = " ".join(f"{box.width:.0f}" for box in dark_rectangles(images[0]))
        self._note("begin", page)
        async for event in super().read(images, options):
            if isinstance(event, PageRead):
                self._note("end", page)
            yield event

    @staticmethod
    def _note(what: str, page: str) -> None:
        descriptor = os.open(os.environ["READ_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{what} {page}\n".encode())
        os.close(descriptor)


if __name__ == "__main__":
    arguments = table.ENGINES["fake"].arguments
    table.ENGINES["fake"] = EngineSpec("tests.jobs.logged_server:LoggedEngine", arguments)
    from serve_ocr import main

    sys.exit(main())
