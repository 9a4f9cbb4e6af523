"""What holds for containers that run: who they are, what they reach, what they survive."""

from __future__ import annotations

import io
import json
import time
import zipfile
from contextlib import contextmanager

import httpx
import pymupdf
import pytest

from tests.conftest import ROOT
from tests.image.daemon import docker, run
from tests.image.sites import Site
from tests.image.test_install import PAGE, read_page

PAGES = 12


def book(pages: int = PAGES) -> bytes:
    """A PDF whose pages are text on pictures: each has to be read."""
    with pymupdf.open() as document:
        for number in range(1, pages + 1):
            page = document.new_page(width=595, height=842)
            page.insert_image(page.rect, filename=PAGE)
            page.insert_text((60, 700), f"Page number {number}", fontsize=20)
        flat = pymupdf.open()
        for page in document:
            drawn = page.get_pixmap(dpi=100)
            flat.new_page(width=595, height=842).insert_image(page.rect, pixmap=drawn)
        return flat.tobytes(deflate=True)


def send_job(client: httpx.Client, data: bytes) -> str:
    files = {"files": ("檔案 ä.pdf", data, "application/pdf")}
    for _ in range(30):
        answer = client.post("/jobs", files=files)
        if answer.status_code != 503:  # of two servers one may still be loading: clients try again
            break
        time.sleep(float(answer.headers["Retry-After"]))
    assert answer.status_code in (200, 202), answer.text
    return answer.json()["id"]


def wait_for(site: Site, job: str, *, pages: int | None = None, seconds: float = 240) -> dict:
    """The job once it has ended, or so many pages of it were read. A server that is away is waited for."""
    deadline, seen = time.monotonic() + seconds, None
    with site.client(timeout=30) as client:
        while time.monotonic() < deadline:
            try:
                answer = client.get(f"/jobs/{job}")
                seen = answer.text
                if answer.status_code == 200:
                    state = answer.json()
                    done = sum(state["ledger"][name] for name in ("ok", "degraded", "failed"))
                    if state["status"] in ("done", "failed") or (pages is not None and done >= pages):
                        return state
            except httpx.TransportError as error:
                seen = repr(error)
            time.sleep(0.2)
    raise AssertionError(f"the job did not get there: {seen}\n{site.compose('logs', '--tail', '60')}")


def test_every_service_is_unprivileged_on_a_read_only_root(site):
    for service in site.services():
        status = site.inside(service, "cat", "/proc/1/status").stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split()[0] != "0"
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(fields[name], 16) == 0, (service, name)
        assert fields["NoNewPrivs"] == "1"
        assert fields["Seccomp"] == "2"
        for place in ("/x", "/app/x", "/opt/airgap/x", "/etc/x", "/app/models/x"):
            assert site.inside(service, "touch", place, check=False).returncode, (service, place)
        written = site.inside(service, "sh", "-c", "cp /bin/true /tmp/t && /tmp/t; echo $?").stdout
        assert written.strip() == "126", "what lies in /tmp cannot be run"


def test_no_service_has_a_way_out(site, egress_counter, sealed_gateway):
    before = egress_counter.read()
    assert site.reached(*site.services()) == []
    assert egress_counter.read() == before


@pytest.fixture
def sealed_gateway(site):
    """The line of operations.md for the gateway, which has a default route: it may begin no connection."""
    network = docker("network", "inspect", "--format", "{{slice .Id 0 12}}", f"{site.name}_published")
    rule = ["DOCKER-USER", "-i", f"br-{network}", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"]
    run("iptables", "-I", *rule)
    yield
    run("iptables", "-D", *rule)


def test_the_server_is_in_the_internal_network_alone(site):
    networks = site.inspect("cpu")["NetworkSettings"]["Networks"]
    assert list(networks) == [f"{site.name}_inside"]
    [network] = json.loads(docker("network", "inspect", f"{site.name}_inside"))
    assert network["Internal"] is True
    assert site.inspect("cpu")["NetworkSettings"]["Ports"] in ({}, {"8000/tcp": None})


def test_clock_and_locale(site):
    inside = float(site.inside("cpu", "date", "+%s.%N").stdout)
    assert abs(inside - time.time()) < 5
    words = "sys.getfilesystemencoding(), locale.getlocale()[1], time.tzname[0]"
    code = f"import locale, sys, time; print({words})"
    assert site.inside("cpu", "python", "-c", code).stdout.split() == ["utf-8", "UTF-8", "UTC"]


def test_what_is_logged_is_bounded(site):
    for service in site.services():
        options = site.inspect(service)["HostConfig"]["LogConfig"]
        assert options == {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "10"}}


def test_logs_rotate(engine, cpu_image):
    rotated = ["--log-opt", "max-size=20k", "--log-opt", "max-file=2"]
    code = "print('\\n'.join(f'a line of the log, number {n}' for n in range(5000)))"
    name = docker("run", "-d", *rotated, cpu_image, "python", "-c", code)
    docker("wait", name)
    lines = docker("logs", name).splitlines()
    docker("rm", name)
    assert lines[-1] == "a line of the log, number 4999"
    assert 50 < len(lines) < 1500


def test_memory_is_bounded_and_what_asks_for_more_ends_alone(site):
    limit = site.inspect("cpu")["HostConfig"]["Memory"]
    assert limit == 6 * 2**30
    done = site.inside("cpu", "python", "-c", f"print(len(b'x' * {limit}))", check=False)
    assert done.returncode == 137
    state = site.inspect("cpu")
    assert state["State"]["Running"]
    assert state["RestartCount"] == 0
    with site.client() as client:
        assert "SEALED" in read_page(client).json()["text"].upper()


def test_a_page_that_asks_for_more_than_the_container_has_is_one_failed_page(site):
    """Drawn, its second page is 2.5 GB; the process that draws may take more than the whole container."""
    changed = {"MEM_LIMIT": "1500m", "PDF_PAGE_MEMORY_MB": "8000", "MAX_IMAGE_PIXELS": "900000000"}
    with with_settings(site, **changed):
        with pymupdf.open() as document:
            for side in (300, 14400, 300):
                document.new_page(width=side, height=side).insert_text((60, 60), "A page", fontsize=30)
            data = document.tobytes()
        with site.client() as client:
            files = {"file": ("a.pdf", data)}
            answer = client.post("/pdf/ocr", files=files, data={"dpi": "144"}).raise_for_status().json()
            assert [page["status"] for page in answer["pages"]] == ["ok", "failed", "ok"], answer["pages"]
            assert "SEALED" in read_page(client).json()["text"].upper()
        state = site.inspect("cpu")
        assert state["RestartCount"] == 0
        assert state["State"]["Running"]


@contextmanager
def with_settings(site: Site, **lines: str):
    """The site with these lines in .env while it lasts."""
    env = site.folder / ".env"
    before = env.read_text()
    env.write_text(before + "".join(f"{name}={value}\n" for name, value in lines.items()))
    try:
        site.compose("up", "-d")
        site.wait_until_ready()
        yield
    finally:
        env.write_text(before)
        site.compose("up", "-d")
        site.wait_until_ready()


@pytest.mark.parametrize("service", ["cpu", "gateway"])
def test_a_service_that_is_killed_comes_back_and_its_jobs_go_on(site, service):
    with site.client() as client:
        job = send_job(client, book())
    wait_for(site, job, pages=2)
    killed = site.inspect(service)
    run("kill", "-9", str(killed["State"]["Pid"]))
    state = wait_for(site, job)
    assert (state["status"], state["ledger"]["ok"]) == ("done", PAGES)
    again = site.inspect(service)
    assert again["Id"] == killed["Id"]
    assert again["RestartCount"] == killed["RestartCount"] + 1


def test_stopping_takes_less_than_its_grace_and_loses_nothing(site):
    with site.client() as client:
        job = send_job(client, book())
    wait_for(site, job, pages=2)
    begun = time.monotonic()
    site.compose("stop", "cpu")
    seconds = time.monotonic() - begun
    stopped = site.inspect("cpu")["State"]
    assert stopped["ExitCode"] in (0, 143), "143: it ended by itself after SIGTERM; 137: it was killed"
    assert seconds < 60
    site.compose("start", "cpu")
    state = wait_for(site, job)
    assert (state["status"], state["ledger"]["ok"]) == ("done", PAGES)


def test_a_mounted_serve_ocr_takes_effect(site, tmp_path):
    marker = "    app.state.service = service\n"
    source = (ROOT / "serve_ocr.py").read_text()
    assert source.count(marker) == 1, "serve_ocr.py has changed; name another line here"
    route = '    app.add_api_route("/of-this-site", lambda: {"changed": True})\n'
    changed = site.folder / "serve_ocr.py"
    changed.write_text(source.replace(marker, marker + route))
    site.override(cpu={"volumes": ["./serve_ocr.py:/app/serve_ocr.py:ro"]})
    try:
        site.compose("up", "-d")
        site.wait_until_ready()
        with site.client() as client:
            assert client.get("/of-this-site").json() == {"changed": True}
    finally:
        site.override()
        site.compose("up", "-d")
        site.wait_until_ready()


def test_with_a_certificate_the_gateway_speaks_tls_alone(site):
    certificate = site.make_certificate()
    try:
        site.compose("restart", "gateway")
        site.wait_until_ready()
        with site.client() as client:
            assert "SEALED" in read_page(client).json()["text"].upper()
        with httpx.Client(trust_env=False) as plain:
            assert plain.get(f"http://127.0.0.1:{site.port}/healthz").status_code == 400
        wait_until_healthy(site, "gateway")
    finally:
        certificate.unlink()
        certificate.with_suffix(".key").unlink()
        site.compose("restart", "gateway")
        site.wait_until_ready()


def wait_until_healthy(site: Site, service: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        health = site.inspect(service)["State"]["Health"]
        if health["Status"] == "healthy":
            return
        time.sleep(1)
    raise AssertionError(health)


def test_names_of_files_in_any_script_come_through(site):
    with site.client() as client:
        job = send_job(client, book(1))
        wait_for(site, job)
        names = client.get(f"/jobs/{job}/result").content
    with zipfile.ZipFile(io.BytesIO(names)) as archive:
        assert any("檔案 ä" in name for name in archive.namelist())
