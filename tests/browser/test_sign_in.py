"""Signing in at the site's issuer from the page, and what the page says where that fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.accounts.issuer import issuer, site
from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.browser
BUTTON = "Sign in with your organisation's account"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        issuer() as provider,
        site(tmp_path_factory.mktemp("signed_in"), provider, PASSWORD_LOGIN="0") as found,
    ):
        yield found


def begin(open_page: OpenPage, url: str) -> Page:
    page = open_page(url, expected=("401",))
    dialog = page.get_by_role("dialog", name="This server wants a login")
    expect(dialog.get_by_role("button", name=BUTTON)).to_be_visible()
    expect(dialog.get_by_label("Password")).to_have_count(0)
    dialog.get_by_role("button", name=BUTTON).click()
    return page


def test_somebody_signs_in(open_page: OpenPage, url: str) -> None:
    page = begin(open_page, url)
    page.get_by_role("button", name="1", exact=True).click()
    expect(page.get_by_role("button", name="alice")).to_be_visible()
    assert "sign_in" not in page.url
    page.reload()
    expect(page.get_by_role("button", name="alice")).to_be_visible()


def test_somebody_may_not_come_in(open_page: OpenPage, url: str) -> None:
    page = begin(open_page, url)
    page.get_by_role("button", name="3", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("This login may not do that.")
    expect(page.get_by_role("button", name=BUTTON)).to_be_visible()
