"""The burn-up chart stands on the overview as a picture of its own, in four looks, and is never waited for."""

import html
import re
import shutil
import sys
from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from tests.support.pages import Site, running_site, text_of
from tests.support.peers import integrated, service_named

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Site]:
    """Pages over the real programme."""
    async with running_site() as running:
        yield running


async def addresses(site: Site, query: str = "") -> list[str]:
    """Where the page finds its chart."""
    page = await site.get(f"/?lang=vi{query}")
    found = re.findall(r'(?:src|srcset|href)="(/burn-up\.[^"]+)"', page.text)
    return list(dict.fromkeys(html.unescape(address) for address in found))


async def test_every_look_is_there(site: Site) -> None:
    """By day and by night, wide and for a phone, the page names a chart that comes, and two files of it."""
    looks = set()
    for address in await addresses(site):
        answer = await site.get(address)
        if ".svg" in address:
            drawing = ET.fromstring(answer.content)
            paper = drawing.find("{http://www.w3.org/2000/svg}rect")
            assert paper is not None
            looks.add((drawing.get("width"), paper.get("fill")))
            assert answer.headers["content-type"] == "image/svg+xml"
            assert "chưa có báo cáo" in answer.text
    assert looks == {(width, paper) for width in ("720", "340") for paper in ("#ffffff", "#12181f")}
    for kind, media_type, begin in (("png", "image/png", b"\x89PNG"), ("pdf", "application/pdf", b"%PDF")):
        address = next(found for found in await addresses(site) if f".{kind}" in found)
        answer = await site.get(address)
        assert answer.headers["content-type"] == media_type
        assert answer.content.startswith(begin)


async def test_the_picture_has_its_words(site: Site) -> None:
    """Who sees no picture is told what it shows, and finds its numbers in a table."""
    page = await site.get("/?lang=en")
    words = "Progress to date: 11 of 227 services completed by 09/2022; nothing is reported after that."

    assert re.findall(r'<img [^>]*alt="([^"]*)"', page.text) == [words, words]
    assert "30/09/2022 11 0 4.85 %" in text_of(page)


async def test_what_is_asked_holds_for_the_chart_too(site: Site) -> None:
    """The chart is as of the day that the page is, in its language; what it cannot be is refused by its name."""
    then = await addresses(site, "&as_of=08%2F2022")
    assert all("as_of=08%2F2022" in address for address in then)
    assert ">11<" not in (await site.get(then[0])).text
    assert "not reported" in (await site.get("/burn-up.svg?lang=en")).text
    assert "theme" in await site.text("/burn-up.svg?lang=en&theme=pink", 400)
    assert "size" in await site.text("/burn-up.svg?lang=en&size=huge", 400)


async def test_a_browser_keeps_it_until_it_changes(site: Site) -> None:
    """A browser that has the chart is told that it is still the same."""
    first = await site.get("/burn-up.svg?lang=vi")
    again = await site.get("/burn-up.svg?lang=vi", 304, if_none_match=first.headers["etag"])

    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert (await site.get("/burn-up.svg?lang=en", if_none_match=first.headers["etag"])).content


async def test_another_chart_has_another_address() -> None:
    """A page that brings itself up to date fetches the chart when a figure changed, and keeps it when only a name did."""
    async with running_site() as site:
        before = await addresses(site)
        site.peers.catalog.add(service_named(12, "Đăng ký tạm trú"))
        await site.caught_up()
        assert await addresses(site) == before
        site.peers.integration.add(integrated(12, site.peers.catalog.revision, year=2022, month=10))
        await site.caught_up()
        after = await addresses(site)
        assert after[0] != before[0]
        assert ">12<" in (await site.get(after[0])).text


async def test_without_a_chart_the_page_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can draw, the page has all else, and the chart's address says where its numbers are."""
    none = shutil.which("false")
    assert none
    monkeypatch.setattr(sys, "executable", none)
    async with running_site() as site:
        assert "30/09/2022 11 0 4,85%" in await site.text("/?lang=vi")
        assert "dạng bảng" in await site.text("/burn-up.svg?lang=vi", 503)
