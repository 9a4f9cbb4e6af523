"""Fetching by URL, against a server that attacks and a resolver that lies."""

from __future__ import annotations

import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from airgap.core.errors import AirgapError, EmptyFile, UploadTooLarge, UrlFetchFailed, UrlRefused
from airgap.dialects.url_fetch import Fetcher
from airgap.http.addresses import MAX_URL_CHARS, AllowList, trusted
from config import load_settings
from tests.conftest import running_server
from tests.dialects.drawing import TEXTS, pdf, png

SECRET = b"the keys of the house"


class Attacker(BaseHTTPRequestHandler):
    """Answers by path; remembers what was asked for."""

    protocol_version = "HTTP/1.1"
    server: Listener

    def do_GET(self) -> None:
        self.server.hits.append((self.path, self.headers["Host"]))
        url = urlsplit(self.path)
        try:
            getattr(self, url.path.strip("/").replace(".", "_"))(parse_qs(url.query))
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            self.close_connection = True

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def a_png(self, query: Any) -> None:
        self.answer(png(), Content_Type="image/png")

    def a_pdf(self, query: Any) -> None:
        self.answer(pdf(1))

    def html(self, query: Any) -> None:
        self.answer(b"<html>hello</html>", Content_Type="image/png")

    def secret(self, query: Any) -> None:
        self.answer(SECRET)

    def empty(self, query: Any) -> None:
        self.answer(b"")

    def zipped(self, query: Any) -> None:
        self.answer(b"\x1f\x8b" + bytes(100), Content_Encoding="gzip")

    def missing(self, query: Any) -> None:
        self.answer(SECRET, status=404)

    def redirect(self, query: Any) -> None:
        self.answer(b"", status=302, Location=query["to"][0])

    def nowhere(self, query: Any) -> None:
        self.answer(b"", status=302)

    def boast(self, query: Any) -> None:
        self.answer(b"x", Content_Length=str(10**12))

    def endless(self, query: Any) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"\x89PNG\r\n\x1a\n" + bytes(100_000))

    def drip(self, query: Any) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Attacker)
        self.hits: list[tuple[str, str]] = []
        self.port = self.server_address[1]


@pytest.fixture
def attacker() -> Iterator[Listener]:
    yield from serve()


@pytest.fixture
def hidden() -> Iterator[Listener]:
    """A service that no list names."""
    yield from serve()


def serve() -> Iterator[Listener]:
    listener = Listener()
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield listener
    listener.shutdown()
    listener.server_close()
    thread.join()


class Resolver:
    """Answers `answers` one after the other, and the last for ever; counts the questions."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


Make = Callable[..., Fetcher]


@pytest.fixture
def fetcher(attacker: Listener) -> Make:
    """A fetcher that may go to files.test on the attacker's port, and to 127.0.0.1."""

    def make(resolve: Resolver | None = None, **settings: Any) -> Fetcher:
        listed = (f"files.test:{attacker.port}", "127.0.0.1/32")
        settings = {"allow_url_fetch": True, "url_fetch_allowlist": listed, "max_upload_mb": 1} | settings
        return Fetcher(load_settings(**settings), resolve or Resolver(["127.0.0.1"]))

    return make


async def test_a_listed_host_is_fetched_by_its_name_at_the_checked_address(
    fetcher: Make, attacker: Listener
) -> None:
    resolver = Resolver(["127.0.0.1"], ["169.254.169.254"])
    data = await fetcher(resolver).fetch(f"http://files.test:{attacker.port}/a.png?x=1")
    assert data == png()
    assert attacker.hits == [("/a.png?x=1", f"files.test:{attacker.port}")]
    assert resolver.asked == ["files.test"], "the name is looked up once"


async def test_a_url_may_be_so_long_and_no_longer(fetcher: Make, attacker: Listener) -> None:
    url = f"http://files.test:{attacker.port}/a.png?x="
    assert await fetcher().fetch(url + "x" * (MAX_URL_CHARS - len(url))) == png()
    attacker.hits.clear()
    with pytest.raises(UrlRefused, match="proper"):
        await fetcher().fetch(url + "x" * (MAX_URL_CHARS - len(url) + 1))
    assert not attacker.hits


async def test_the_list_of_authorities_is_read_once(
    fetcher: Make, attacker: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    load = ssl.create_default_context

    def noted(**how: Any) -> ssl.SSLContext:
        read.append(how)
        return load(**how)

    monkeypatch.setattr(ssl, "create_default_context", noted)
    trusted.cache_clear()
    for _ in range(2):
        assert await fetcher().fetch(f"http://files.test:{attacker.port}/a.png") == png()
    assert len(read) == 1
    assert trusted().verify_mode is ssl.CERT_REQUIRED
    assert trusted().check_hostname


async def test_a_name_that_changes_its_address_is_checked_each_time(
    fetcher: Make, attacker: Listener
) -> None:
    fetch = fetcher(Resolver(["127.0.0.1"], ["127.0.0.2"])).fetch
    url = f"http://files.test:{attacker.port}/a.png"
    assert await fetch(url)
    with pytest.raises(UrlRefused):
        await fetch(url)
    assert len(attacker.hits) == 1


async def test_one_bad_address_among_good_ones_condemns_them(fetcher: Make, attacker: Listener) -> None:
    with pytest.raises(UrlRefused):
        await fetcher(Resolver(["127.0.0.1", "10.0.0.1"])).fetch(f"http://files.test:{attacker.port}/a.png")
    assert not attacker.hits


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "2002:7f00:1::",
     "64:ff9b::7f00:1", "2001::1", "255.255.255.255"],
)  # fmt: skip
async def test_no_address_that_is_not_public_is_reached_through_a_listed_name(address: str) -> None:
    settings = load_settings(allow_url_fetch=True, url_fetch_allowlist=("*",))
    with pytest.raises(UrlRefused):
        await Fetcher(settings, Resolver([address])).fetch("http://files.test/a.png")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://files.test/a.png",
        "gopher://files.test/",
        "http://",
        "http:///a.png",
        "//files.test/a.png",
        "http://user:word@files.test/a.png",
        "http://other.test/a.png",
        "http://files.test.evil.example/a.png",
        "http://evil.example#files.test",
        "http://files.test:22/a.png",
        "http://127.0.0.2/a.png",
        "http://[::1]/a.png",
        "http://2130706433/a.png",
        "http://0x7f000001/a.png",
        "http://localhost/a.png",
        "http://files.test\\@evil.example/a.png",
        "http://files.test/" + "a" * 3000,
    ],
)
async def test_urls_that_are_not_on_the_list_are_never_looked_up(fetcher: Make, url: str) -> None:
    resolver = Resolver(["127.0.0.1"])
    with pytest.raises(UrlRefused):
        await fetcher(resolver).fetch(url)
    assert not resolver.asked


async def test_off_means_off(attacker: Listener, fetcher: Make) -> None:
    with pytest.raises(UrlRefused, match="ALLOW_URL_FETCH=0"):
        await fetcher(allow_url_fetch=False).fetch(f"http://files.test:{attacker.port}/a.png")
    assert not attacker.hits


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "files.test", "169.254.169.254"])
async def test_a_redirect_is_checked_like_any_url(
    fetcher: Make, attacker: Listener, hidden: Listener, host: str
) -> None:
    url = f"http://files.test:{attacker.port}/redirect?to=http://{host}:{hidden.port}/secret"
    with pytest.raises(UrlRefused):
        await fetcher().fetch(url)
    assert not hidden.hits


async def test_redirects_on_the_list_are_followed_and_looked_up_anew(
    fetcher: Make, attacker: Listener
) -> None:
    resolver = Resolver(["127.0.0.1"], ["127.0.0.1"], ["10.0.0.1"])
    base = f"http://files.test:{attacker.port}"
    assert await fetcher(resolver).fetch(f"{base}/redirect?to=/a.png") == png()
    assert resolver.asked == ["files.test", "files.test"]
    with pytest.raises(UrlRefused):
        await fetcher(Resolver(["127.0.0.1"], ["10.0.0.1"])).fetch(f"{base}/redirect?to={base}/a.png")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("redirect?to=/redirect?to=/redirect%3Fto=/a.png", UrlFetchFailed),
        ("nowhere", UrlFetchFailed),
        ("missing", UrlFetchFailed),
        ("zipped", UrlFetchFailed),
        ("empty", EmptyFile),
        ("boast", UploadTooLarge),
        ("endless", UploadTooLarge),
    ],
)
async def test_bad_answers_are_errors_that_repeat_nothing_of_them(
    fetcher: Make, attacker: Listener, path: str, error: type[AirgapError]
) -> None:
    if path.startswith("redirect"):
        path = f"redirect?to=http://files.test:{attacker.port}/nowhere"
    with pytest.raises(error) as caught:
        await fetcher().fetch(f"http://files.test:{attacker.port}/{path}")
    assert SECRET.decode() not in caught.value.message + caught.value.remedy


async def test_a_body_that_drips_ends_with_the_time(fetcher: Make, attacker: Listener) -> None:
    with pytest.raises(UrlFetchFailed, match="within"):
        await fetcher(url_fetch_timeout_seconds=0.5).fetch(f"http://files.test:{attacker.port}/drip")


async def test_nobody_listens(fetcher: Make) -> None:
    with pytest.raises(UrlFetchFailed):
        await fetcher(url_fetch_allowlist=("127.0.0.1:9",)).fetch("http://127.0.0.1:9/a.png")


@pytest.mark.parametrize(
    ("entries", "host", "port", "scheme", "fits"),
    [
        (("files.test",), "files.test", 443, "https", True),
        (("files.test",), "files.test", 80, "http", True),
        (("files.test",), "files.test", 80, "https", False),
        (("files.test",), "a.files.test", 443, "https", False),
        (("*.files.test",), "a.files.test", 443, "https", True),
        (("*.files.test",), "files.test", 443, "https", False),
        (("FILES.test",), "files.test", 443, "https", True),
        (("10.0.0.0/8",), "10.1.2.3", 80, "http", True),
        (("10.0.0.0/8",), "10.1.2.3", 8080, "http", False),
        (("10.1.2.3:8080",), "10.1.2.3", 8080, "http", True),
        (("*",), "any.example", 443, "https", True),
        (("*",), "any.example", 22, "http", False),
        ((), "files.test", 443, "https", False),
    ],
)
def test_the_list(entries: tuple[str, ...], host: str, port: int, scheme: str, fits: bool) -> None:
    assert AllowList(entries).has_host(host, port, scheme) is fits


def test_a_server_that_fetches(attacker: Listener, hidden: Listener, tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{attacker.port}"
    listed = f"127.0.0.1:{attacker.port}"
    with (
        running_server(tmp_path, BACKEND="fake", ALLOW_URL_FETCH="1", URL_FETCH_ALLOWLIST=listed) as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as api,
    ):
        answer = api.post("/ocr", json={"image_url": f"{base}/a.png", "prompt": "Extract. <image>"}).json()
        assert answer["results"][0]["text"].split("\n\n") == list(TEXTS)
        several = api.post("/ocr", json={"urls": [f"{base}/a.png", f"{base}/html"]}).json()
        assert [result["status"] for result in several["results"]] == ["ok", "failed"]
        document = api.post("/ocr/pdf", json={"pdf_url": f"{base}/a.pdf"}).json()
        assert document["ledger"]["ok"] == 1
        picture = {"type": "image_url", "image_url": {"url": f"{base}/a.png"}}
        body = {"messages": [{"role": "user", "content": [picture]}]}
        assert api.post("/v1/chat/completions", json=body).status_code == 200

        for path, code in [("html", "url_fetch_failed"), ("secret", "url_fetch_failed")]:
            refused = api.post("/ocr", json={"image_url": f"{base}/{path}"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, code)
            assert SECRET.decode() not in refused.text
        behind = f"http://127.0.0.1:{hidden.port}/secret"
        for target in (behind, f"{base}/redirect?to={behind}"):
            assert api.post("/ocr", json={"image_url": target}).status_code == 403
    assert not hidden.hits


@pytest.mark.parametrize(
    "address",
    [
        *("::127.0.0.1", "::10.0.0.1", "::ffff:0:127.0.0.1", "::1", "::"),
        *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:4136:e378::"),
        *(
            "fec0::1",
            "feff::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "5f00::1",
            "100::1",
        ),
        *("100.64.0.1", "192.0.0.8", "198.18.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1", "0.0.0.0"),
        *("10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "127.0.0.1", "224.0.0.1"),
    ],
)
def test_any_host_is_any_public_host(address: str) -> None:
    assert not AllowList(("*",)).permits(ipaddress.ip_address(address))
    assert AllowList(("*", address)).permits(ipaddress.ip_address(address)), "listed itself"


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str) -> None:
    assert AllowList(("*",)).permits(ipaddress.ip_address(address))


def test_an_address_in_another_ones_writing_is_that_address() -> None:
    mapped = ipaddress.ip_address("::ffff:127.0.0.1")
    assert not AllowList(("*",)).permits(mapped)
    assert AllowList(("127.0.0.1/32",)).permits(mapped)
