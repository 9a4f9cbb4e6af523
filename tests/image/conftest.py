"""One engine, one image and two releases for the whole run; every test here is marked `image`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.deploy import factory
from tests.image import egress, images
from tests.image.daemon import answering_engine, docker
from tests.image.sites import Site, make_bundle

OLD, NEW = "1.0.0", "1.1.0"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path == here / "test_silence.py")
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.image)
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    with answering_engine():
        before = of_projects()
        yield
        assert of_projects() == before, "a test left its site behind"


def of_projects() -> set[str]:
    """Containers, volumes and networks that compose has made."""
    label = "--filter=label=com.docker.compose.project"
    kinds = (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q"))
    return {name for kind in kinds for name in docker(*kind, label).split()}


@pytest.fixture(scope="session")
def egress_counter(engine: None) -> Iterator[egress.Counter]:
    """Packets that leave the engine's networks, from the first container on."""
    with egress.counting() as counter:
        yield counter


@pytest.fixture(scope="session")
def foreign(engine: None, request: pytest.FixtureRequest) -> Iterator[dict[str, Future[str]]]:
    """Images in the place of those of others, where a test wants them: built while the first tests run."""
    images.make_base()
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    wanted = any("foreign" in test.fixturenames for test in tests)
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(images.build_foreign, name) for name in images.FOREIGN if wanted}


@pytest.fixture(scope="session")
def cpu_image(engine: None, request: pytest.FixtureRequest) -> str:
    request.getfixturevalue("foreign")  # begun first, and not waited for
    return images.build_cpu()


@pytest.fixture(scope="session")
def releases(
    cpu_image: str, egress_counter: egress.Counter, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Two signed bundles of the image, by version."""
    home = tmp_path_factory.mktemp("releases")
    key = factory.signing_key(home)
    return {version: make_bundle(home / version, version, cpu_image, key) for version in (OLD, NEW)}


@pytest.fixture(scope="session")
def site(releases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of the profile `cpu`, as install.sh left it; tests of what runs share it."""
    with Site(tmp_path_factory.mktemp("site") / "airgap-ocr", "airgap-test") as place:
        place.folder.mkdir()
        place.override()
        place.install_bundle(releases[OLD])
        yield place
