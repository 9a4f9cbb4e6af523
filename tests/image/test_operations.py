"""docs/operations.md from its step 4 on: every command, in order, on the site that its own lines make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.image.conftest import NEW, OLD
from tests.image.daemon import docker, run
from tests.image.sites import Site
from tests.image.test_install import read_page

GUIDE = (ROOT / "docs" / "operations.md").read_text()
BLOCK = re.compile(
    r"^### (?P<title>\d+\. [^\n]+)$|^```(?P<kind>sh|sh scale|console)\n(?P<body>.*?)^```$", re.M | re.S
)


def blocks(kind: str) -> list[tuple[str, str]]:
    """(heading, commands) of each block of a kind, in the guide's order."""
    found, title = [], ""
    for match in BLOCK.finditer(GUIDE):
        title = match["title"] or title
        if match["kind"] == kind:
            found.append((title, match["body"]))
    return found


@pytest.fixture(scope="module")
def place(releases: dict[str, Path], tmp_path_factory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("guide") / "airgap-ocr", "airgap-guide")
    site.settings |= {"stick": str(releases[OLD].parent), "backup": str(site.folder.parent / "backup")}
    with site:
        yield site


def for_this_site(body: str, site: Site) -> str:
    """The guide's names in the place of which a site has its own."""
    stick = site.settings["stick"]
    own = (
        ("/media/stick/airgap-ocr-", f"{stick}/"),
        ("/media/other/signers", f"{stick}/{OLD}/signers"),
        ("/srv/backup", site.settings["backup"]),
        ("/opt/airgap-ocr/", f"{site.folder}/"),
        ("/opt/airgap-ocr", str(site.folder)),
        ("airgap-ocr-data", f"{site.name}-data"),
        ("airgap-ocr_", f"{site.name}_"),
        ("NEWER", NEW),
        ("VERSION", OLD),
    )
    for name, value in own:
        body = body.replace(name, value)
    return body.replace("--profile cpu", f"--profile cpu {' '.join(_elsewhere(site))}")


def _elsewhere(site: Site) -> list[str]:
    own = {
        "COMPOSE_PROJECT_NAME": site.name,
        "DATA_VOLUME": f"{site.name}-data",
        "PUBLISH_ADDRESS": "127.0.0.1",
        "PUBLISH_PORT": str(site.port),
    }
    return [f"--set {name}={value}" for name, value in own.items()]


def test_the_guide_ends_where_it_says(place, releases):
    assert releases[NEW].parent == releases[OLD].parent
    seen, client_login = [], ("root", "a long password")
    for title, body in blocks("sh"):
        rule = "iptables -I" in body
        script = for_this_site(body, place)
        # A line with `!` does not end a shell under -e; here it has to fail.
        script = re.sub(r"^! (.*)$", r"if \1; then echo 'that was to fail'; exit 1; fi", script, flags=re.M)
        done = run("bash", "-euo", "pipefail", "-c", script, input="a long password\n", cwd="/", check=False)
        assert done.returncode == 0, f"{title}\n{script}\n{done.stdout}\n{done.stderr}"
        if rule:
            run("bash", "-c", script.replace("iptables -I", "iptables -D"))
        seen.append(title)
        if title.startswith("6."):
            login(place, *client_login)
            assert "BOOTSTRAP_PASS" not in place.variables
        if title.startswith("8."):
            place.wait_until_ready()
            after_backup = login(place, *client_login)
            user = {"username": "later", "password": "a password of later"}
            with place.client() as client:
                assert client.post("/api/auth/register", json=user, headers=after_backup).status_code == 201
        if title.startswith("10."):
            with place.client() as client:
                answer = client.post("/api/auth/token", data=user)
                assert answer.status_code == 401, "made after the backup that was restored"
                assert read_page(client, headers=login(place, *client_login)).status_code == 200
    assert [title.split(".")[0] for title in dict.fromkeys(seen)] == [str(n) for n in range(4, 13)]
    assert docker("volume", "ls", "-q", "--filter", f"name={place.name}") == ""
    assert not place.folder.exists()


def login(site: Site, name: str, password: str) -> dict[str, str]:
    with site.client() as client:
        answer = client.post("/api/auth/token", data={"username": name, "password": password})
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}
