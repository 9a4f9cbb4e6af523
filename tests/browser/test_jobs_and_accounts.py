"""Jobs and logins on the page, against the real server on the CPU engine."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD, OpenPage
from tests.browser.helpers import choose, download, read, wait_until_drawn

pytestmark = pytest.mark.browser


def test_a_job_from_sending_to_erasing(
    open_page: OpenPage, page_server: str, samples: Path, tmp_path: Path
) -> None:
    page = open_page(page_server)
    choose(page, [samples / "english.png", samples / "table.png"])
    page.get_by_role("button", name="Run as a job").click()
    job = page.locator("dialog .job").first
    expect(job.locator(".badge.done")).to_be_visible()
    expect(job).to_contain_text("2 of 2 pages")
    with page.expect_download() as waiting:
        job.get_by_role("button", name="Result (ZIP)").click()
    assert "manifest.json" in zipfile.ZipFile(io.BytesIO(waiting.value.path().read_bytes())).namelist()
    job_id = job.get_attribute("data-job")

    job.get_by_role("button", name="Open").click()
    expect(page.locator(".document-list li")).to_have_count(2)
    wait_until_drawn(page.locator(".sheet canvas"))
    page.locator(".document-list .choose", has_text="table.png").click()
    expect(page.locator(".block.kind-table td", has_text="Jupiter")).to_be_visible()
    assert download(page, "Searchable PDF", tmp_path).read_bytes().startswith(b"%PDF")

    page.get_by_role("button", name="Jobs").click()
    job = page.locator(f"[data-job='{job_id}']")
    job.get_by_role("button", name="Erase …").click()
    job.get_by_role("button", name="Erase", exact=True).click()
    expect(job).to_have_count(0)
    expect(page.locator(".document-list li")).to_have_count(0)
    assert httpx.get(f"{page_server}/jobs/{job_id}", trust_env=False).status_code == 404


def test_a_job_is_cancelled_and_taken_up_again(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    choose(page, [samples / "booklet.pdf", samples / "booklet.pdf"])
    page.get_by_role("button", name="Run as a job").click()
    job = page.locator("dialog .job").first
    expect(job.locator(".badge.running")).to_be_visible()
    job.get_by_role("button", name="Cancel").click()
    expect(job.locator(".badge.cancelled")).to_be_visible()
    job.get_by_role("button", name="Retry failed pages").click()
    expect(job.locator(".badge.done")).to_be_visible()
    expect(job).to_contain_text("6 of 6 pages")


def test_log_in_read_and_hand_out_keys(open_page: OpenPage, guarded_server: str, samples: Path) -> None:
    page = open_page(guarded_server, expected=("401",))
    dialog = page.get_by_role("dialog", name="This server wants a login")
    dialog.get_by_label("User name").fill("root")
    dialog.get_by_label("Password").fill("a guess")
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog).to_have_count(0)
    read(page, samples / "english.png")

    page.get_by_role("button", name="root").click()
    account = page.get_by_role("dialog", name="Account")
    account.get_by_label("API keys: Name").fill("a scanner")
    account.get_by_role("button", name="Make a key").click()
    key = account.locator(".secret").inner_text()
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{guarded_server}/info", headers=headers, trust_env=False).status_code == 200
    account.get_by_role("button", name="Revoke: a scanner").click()
    expect(account.get_by_text("Revoked")).to_be_visible()
    assert httpx.get(f"{guarded_server}/info", headers=headers, trust_env=False).status_code == 401

    account.get_by_placeholder("User name").fill("anna")
    account.get_by_placeholder("Password", exact=True).fill("another good long password")
    account.get_by_role("button", name="Add a user").click()
    expect(account.get_by_text("anna, user")).to_be_visible()
    account.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("dialog", name="This server wants a login")).to_be_visible()


def test_a_login_is_not_kept_by_another_window(open_page: OpenPage, guarded_server: str) -> None:
    page = open_page(guarded_server, expected=("401",))
    expect(page.get_by_role("dialog", name="This server wants a login")).to_be_visible()
    assert page.evaluate("localStorage.length") <= 1  # the colours, and nothing else


def test_usage(open_page: OpenPage, page_server: str, samples: Path) -> None:
    page = open_page(page_server)
    read(page, samples / "english.png")
    page.get_by_role("button", name="Usage").click()
    usage = page.get_by_role("dialog", name="Usage")
    expect(usage.locator("table").first.get_by_role("row", name="Pages")).to_contain_text("1")
    server_pages = usage.locator("table").nth(1).get_by_role("row", name="Pages").locator("td")
    assert int(server_pages.inner_text().replace(",", "")) >= 1
