"""Profiles `scale` and `monitoring`: two servers, PostgreSQL, TLS, and Prometheus that watches them.

The servers are the CPU image in the place of the GPU one; PostgreSQL and Prometheus are Debian's in the place
of the official images. Grafana is not there: its queries are put to Prometheus as it would put them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import ROOT
from tests.image.daemon import run
from tests.image.sites import Site
from tests.image.test_install import read_page
from tests.image.test_operations import blocks
from tests.image.test_running import PAGES, book, send_job, wait_for

SERVERS = ("scale-1", "scale-2")
DASHBOARDS = sorted((ROOT / "monitoring" / "grafana" / "dashboards").glob("*.json"))


@pytest.fixture(scope="module")
def pair(cpu_image, foreign, egress_counter, tmp_path_factory) -> Iterator[Site]:
    place = Site(tmp_path_factory.mktemp("scale") / "site", "airgap-scale")
    place.settings |= {
        "POSTGRES_PASSWORD": "letters4and2digits",
        "POSTGRES_IMAGE": foreign["postgresql"].result(),
        "PROMETHEUS_IMAGE": foreign["prometheus"].result(),
    }
    place.make("scale,monitoring", cpu_image, grafana=None)
    place.make_certificate()
    prometheus = place.folder / "monitoring" / "prometheus" / "prometheus.yml"
    prometheus.write_text(prometheus.read_text().replace("_interval: 15s", "_interval: 2s"))
    with place:
        place.start()
        yield place


def ask(site: Site, url: str) -> str:
    """What an address of the network `inside` answers."""
    code = (
        "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())"
    )
    return site.inside("scale-1", "python", "-c", code, url).stdout


def is_ready(site: Site, server: str) -> bool:
    smoke = ("python", "/opt/airgap/smoke/smoke.py", "--ready", "--url", f"http://{server}:8000")
    return site.inside("gateway", *smoke, check=False).returncode == 0


def pages_read(site: Site, server: str) -> float:
    lines = ask(site, f"http://{server}:8000/metrics").splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("ocr_pages_total{"))


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.5)


def test_two_servers_share_a_job_over_tls(pair):
    before = {server: pages_read(pair, server) for server in SERVERS}
    with pair.client() as client:
        assert "SEALED" in read_page(client).json()["text"].upper()
        job = send_job(client, book())
    state = wait_for(pair, job)
    assert (state["status"], state["ledger"]["ok"]) == ("done", PAGES)
    assert all(pages_read(pair, server) > before[server] for server in SERVERS)


@pytest.mark.parametrize("service", ["scale-2", "postgresql"])
def test_while_one_is_killed_the_job_goes_on(pair, service):
    with pair.client() as client:
        job = send_job(client, book())
    wait_for(pair, job, pages=2)
    run("kill", "-9", str(pair.inspect(service)["State"]["Pid"]))
    state = wait_for(pair, job)
    assert (state["status"], state["ledger"]["ok"]) == ("done", PAGES)
    assert pair.inspect(service)["RestartCount"] == 1
    until(lambda: all(is_ready(pair, server) for server in SERVERS))


def test_the_guides_backup_brings_back_what_was_in_the_database(pair, tmp_path):
    (_, dump), (_, restore) = blocks("sh scale")
    with pair.client() as client:
        kept = send_job(client, book(1))
        wait_for(pair, kept)
        script = dump.replace("/srv/backup", str(tmp_path))
        run("bash", "-euo", "pipefail", "-c", script, cwd=pair.folder)
        assert client.delete(f"/jobs/{kept}").status_code < 300
    pair.compose("stop", *SERVERS)
    script = restore.replace("/srv/backup", str(tmp_path))
    run("bash", "-euo", "pipefail", "-c", script, cwd=pair.folder)
    query = ["psql", "-U", "airgap", "-Atc", f"SELECT count(*) FROM ocr_jobs WHERE id = '{kept}'", "airgap"]
    assert pair.inside("postgresql", *query).stdout.strip() == "1"
    pair.compose("start", *SERVERS)
    pair.wait_until_ready()


def test_prometheus_finds_both_servers_and_itself(pair):
    def healthy() -> list[tuple[str, str]]:
        found = json.loads(ask(pair, "http://prometheus:9090/api/v1/targets"))["data"]["activeTargets"]
        return sorted((target["labels"]["job"], target["health"]) for target in found)

    wanted = [("airgap-ocr", "up"), ("airgap-ocr", "up"), ("prometheus", "up")]
    until(lambda: healthy() == wanted)


def test_prometheus_has_the_alert_rules(pair):
    groups = json.loads(ask(pair, "http://prometheus:9090/api/v1/rules"))["data"]["groups"]
    rules = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    text = (ROOT / "monitoring" / "prometheus" / "alerts.yml").read_text()
    assert len(rules) == text.count("- alert: ")
    assert set(rules.values()) <= {"ok", "unknown"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_each_query_of_a_dashboard_is_answered(pair, path):
    dashboard = json.loads(path.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert queries
    code = (
        "import json, sys, urllib.error, urllib.parse, urllib.request\n"
        "for query in json.load(sys.stdin):\n"
        "    url = 'http://prometheus:9090/api/v1/query?' + urllib.parse.urlencode({'query': query})\n"
        "    try: answer = json.load(urllib.request.urlopen(url, timeout=20))\n"
        "    except urllib.error.HTTPError as error: sys.exit(query + error.read().decode())\n"
        "    print(len(answer['data']['result']))\n"
    )
    for name, value in {"$instance": ".*", "$__rate_interval": "5m", "$__range": "1h"}.items():
        queries = [query.replace(name, value) for query in queries]
    command = ["docker", "exec", "-i", pair.container("scale-1"), "python", "-c", code]

    def with_series() -> int:
        with pair.client() as client:
            read_page(client).raise_for_status()
        series = run(*command, input=json.dumps(queries)).stdout.split()
        assert len(series) == len(queries)
        return sum(count != "0" for count in series)

    if path.stem == "vllm":  # none runs here: its queries are valid, and find nothing
        assert with_series() == 0
    else:
        until(lambda: with_series() > len(queries) / 3)


def test_no_service_has_a_way_out(pair, egress_counter):
    before = egress_counter.read()
    assert pair.reached(*SERVERS, "postgresql", "prometheus") == []
    assert egress_counter.read() == before
