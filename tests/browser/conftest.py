"""A real Chromium before real servers. Nothing but loopback answers it, and what it tries is written down."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import ROOT, running_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

if importlib.util.find_spec("playwright") is None:
    collect_ignore_glob = ["test_*.py"]  # `make test-browser` installs it

# Debian's Chromium without the services of a desktop browser, which would ask for updates by themselves.
CHROMIUM = "/usr/bin/chromium-headless-shell"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PASSWORD = "correct horse battery staple"
PATIENCE_MS = 120_000


class Outside:
    """Stands for all the world: a proxy that notes what is asked for and answers nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self.asked.append(connection.recv(300).split(b"\r\n")[0].decode("latin-1"))
                except TimeoutError:
                    self.asked.append("a connection that said nothing")

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="session")
def outside() -> Iterator[Outside]:
    """Whatever is not loopback. At the end nobody asked for it, the browser itself included."""
    world = Outside()
    yield world
    world.close()
    assert world.asked == []


@pytest.fixture(scope="session")
def browser(outside: Outside) -> Iterator[Browser]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    assert (ROOT / "web/dist/index.html").is_file(), "the page is not built: make web"
    proxy = f"--proxy-server=http://127.0.0.1:{outside.port}"  # Chromium itself leaves loopback out
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, proxy])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The CPU engine, one page at a time, so that the pages of a PDF come one after the other."""
    folder = tmp_path_factory.mktemp("page_server")
    with running_server(folder, BACKEND="rapidocr", MAX_CONCURRENCY="1") as url:
        yield url


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The CPU engine behind logins."""
    with running_server(
        tmp_path_factory.mktemp("guarded_server"),
        BACKEND="rapidocr",
        AUTH_ENABLED="true",
        SECRET_KEY="0123456789abcdef0123456789abcdef",
        BOOTSTRAP_USER="root",
        BOOTSTRAP_PASS=PASSWORD,
    ) as url:
        yield url


OpenPage = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a page in a profile of its own; at the end it broke nothing and asked for nothing outside."""
    problems: list[str] = []
    contexts = []

    def note_request(url: str) -> None:
        host = urlsplit(url).hostname
        if host not in (None, "127.0.0.1"):
            problems.append(f"asked for {url}")

    def opened(url: str, language: str = "en-GB", expected: tuple[str, ...] = (), **options: Any) -> Page:
        context = browser.new_context(
            locale=language, viewport={"width": 1440, "height": 900}, accept_downloads=True, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: note_request(request.url))
        page.on("pageerror", lambda error: problems.append(f"script: {error}"))
        page.on(
            "console",
            lambda message: (
                problems.append(f"console: {message.text}")
                if message.type == "error" and not any(part in message.text for part in expected)
                else None
            ),
        )
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def samples() -> Path:
    return ROOT / "samples"
