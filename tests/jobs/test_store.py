"""A job's folder says how it is laid out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airgap.core.errors import JobsUnavailable
from airgap.jobs.plan import Input, Spec
from airgap.jobs.store import SCHEMA_VERSION, JobFolder

SPEC = Spec("f" * 32, "me", (Input("000000", "a.pdf"),))


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path)
    folder.write_spec(SPEC)
    return folder


def rewritten(folder: JobFolder, **changes: object) -> JobFolder:
    path = folder.path / "job.json"
    data = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in data.items() if value is not None}))
    return folder


def test_the_version_is_written_and_read(folder: JobFolder) -> None:
    assert json.loads((folder.path / "job.json").read_text())["schema_version"] == SCHEMA_VERSION
    assert folder.spec() == SPEC


def test_a_folder_of_0_1_0_has_none(folder: JobFolder) -> None:
    assert rewritten(folder, schema_version=None).spec() == SPEC


def test_a_folder_of_a_later_release_is_left_alone(folder: JobFolder) -> None:
    with pytest.raises(JobsUnavailable, match=f"version {SCHEMA_VERSION + 1}"):
        rewritten(folder, schema_version=SCHEMA_VERSION + 1).spec()
