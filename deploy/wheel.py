"""What `pip wheel .` does beyond setuptools: the page that `make web` built goes into the package.

    make wheel

A wheel that is made before the page was built serves the API alone, and says so while it is made.
"""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

from setuptools.command.build_py import build_py

BUILT = Path("web/dist")
PLACE = Path("airgap/http/page")
"""Where `airgap.http.page_routes` looks for it first."""


class BuildWithPage(build_py):
    """Build the packages; the folder is the project's."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        place = Path(self.build_lib) / PLACE
        shutil.rmtree(place, ignore_errors=True)
        if (BUILT / "index.html").is_file():
            shutil.copytree(BUILT, place)
        else:
            warnings.warn("web/dist holds no page: this wheel serves the API alone", stacklevel=2)
