"""A job that is erased while its last workflow is still ending is no trouble, and the log is silent of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.jobs.conftest import MakeServer
from tests.jobs.helpers import picture


@pytest.mark.slow
def test_erasing_at_once_leaves_no_traceback(make_server: MakeServer) -> None:
    server = make_server().start()

    def handed_in_and_erased(_: int) -> None:
        job = server.submit(picture())["id"]
        server.wait(job, lambda found: found["status"] == "done")
        assert server.client.delete(f"/jobs/{job}").status_code == 204

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(handed_in_and_erased, range(40)))
    server.stop()
    log = (server.log.parent / "server.log").read_text()
    assert "Traceback" not in log, log
