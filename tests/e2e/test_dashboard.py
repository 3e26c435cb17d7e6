"""The dashboard in a real browser, on a real `tiendo up`: read by everyone, and up to date by itself."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from pypdf import PdfReader

from tests.support.browser import complaints, pictures, running_browser
from tests.support.up import Up

pytestmark = pytest.mark.e2e

SHOWN = {
    "overview": "/",
    "services": "/services",
    "service": "/services/bca-001",
    "slot": "/services/bca-012",
    "live": "/live",
    "attention": "/attention",
    "refused": "/?as_of=x",
}
HEADINGS = {
    "vi": ("227 dịch vụ công trực tuyến của Bộ Công an", "Danh mục dịch vụ", "Diễn biến", "Cần xử lý"),
    "en": ("227 online public services of the Ministry of Public Security", "Services", "Live", "Attention"),
}
SOON_MS = 2000
Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all."""
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def up(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The whole on this machine with the real programme; the tests share it in their order."""
    running = Up(tmp_path_factory.mktemp("up"))
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def page(browser: Browser, up: Up) -> Iterator[Page]:
    """A fresh page; whatever it complains of in its console is a fault."""
    context = browser.new_context(base_url=up.page_url, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda fault: said.append(str(fault)))
    yield opened
    context.close()
    # What a server that is away or refuses brings about is the browser's own remark.
    assert [text for text in said if "ERR_" not in text and "Failed to load resource" not in text] == []


@pytest.mark.parametrize(("lang", "scheme"), [("vi", "light"), ("en", "dark")])
def test_every_page_reads_and_looks_right(page: Page, lang: str, scheme: Scheme) -> None:
    """In either language each page has its title and its language, and axe has no complaint, by day and by night."""
    # Colours and words have nothing to do with each other: two of the four are enough, but for whoever wants pictures.
    schemes = SCHEMES if pictures() else (scheme,)
    for name, path in SHOWN.items():
        for colours in schemes:
            page.emulate_media(color_scheme=colours)
            page.goto(f"{path}{'&' if '?' in path else '?'}lang={lang}")
            assert page.locator("html").get_attribute("lang") == lang
            assert page.locator("h1").count() == 1
            assert complaints(page) == []
            if folder := pictures():
                page.screenshot(path=folder / f"{name}-{lang}-{colours}.png", full_page=True)
    for path, heading in zip(("/", "/services", "/live", "/attention"), HEADINGS[lang], strict=True):
        page.goto(path)
        assert page.locator("h1").inner_text() == heading


def test_a_phone_shows_all_without_sideways_scroll(page: Page) -> None:
    """At 360 pixels nothing sticks out, and axe has no complaint."""
    page.set_viewport_size({"width": 360, "height": 740})
    for name, path in SHOWN.items():
        page.goto(f"{path}{'&' if '?' in path else '?'}lang=vi")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
        assert complaints(page) == []
        if folder := pictures():
            page.screenshot(path=folder / f"{name}-phone.png", full_page=True)


def test_the_chart_suits_the_screen(page: Page) -> None:
    """By day and by night, on a screen and on a phone, the chart is the one made for it; without one its numbers are open."""
    chart = page.locator(".on-screen .chart")
    for scheme in SCHEMES:
        for width in (1280, 360):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 740})
            page.goto("/?lang=vi")
            expect(chart).to_have_js_property("naturalWidth", 340 if width == 360 else 720)
            shown = chart.evaluate("image => image.currentSrc")
            assert ("theme=dark" in shown) == (scheme == "dark")
            assert not page.locator("#points").get_attribute("open")
    page.route("**/burn-up.svg*", lambda route: route.abort())
    page.goto("/?lang=vi")
    expect(page.locator("#points")).to_have_attribute("open", "")


def test_the_keyboard_is_enough(page: Page) -> None:
    """By keyboard alone one skips to the content, finds a service, narrows a list down and switches the language."""
    page.goto("/?lang=vi")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "as_of"
    page.keyboard.press("Control+A")
    page.keyboard.type("08/2022")
    page.keyboard.press("Enter")
    expect(page.locator("#headline")).to_contain_text("0 / 227 đã hoàn thành tích hợp")
    assert "as_of=08%2F2022" in page.url
    page.locator("#find").focus()
    page.keyboard.type("thuong tru")
    page.keyboard.press("Enter")
    expect(page.locator("td.name a").first).to_have_text("Đăng ký thường trú")
    page.locator(".languages a[lang=en]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Services")
    # Whoever tabs sees where he is.
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_search_follows_what_is_typed(page: Page) -> None:
    """The list changes with each letter, without a new page, and the address can be sent to somebody else."""
    page.goto("/services?lang=vi")
    page.evaluate("window.same = true")
    page.locator("#q").press_sequentially("cap ho chieu", delay=20)

    expect(page.locator("#found")).to_contain_text("1 trong 227 dịch vụ")
    expect(page.locator("td.name a")).to_have_text(["Cấp, cấp lại, sửa đổi, bổ sung hộ chiếu phổ thông"])
    assert page.evaluate("window.same") is True
    page.goto(page.url)
    assert page.locator("td.name a").count() == 1


def test_it_reads_without_javascript(browser: Browser, up: Up) -> None:
    """Everything that is to be read is there without scripts, and every form works."""
    context = browser.new_context(base_url=up.page_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/?lang=vi")
    page.locator("#as_of").fill("15/09/2022")
    page.locator(".as-of button").click()
    assert "0 / 227" in page.locator("#headline").inner_text()
    page.goto("/services")
    page.locator("summary").click()
    page.locator("#f-outcome").select_option("COMPLETED")
    page.locator("details button").click()
    assert page.locator("td.name a").count() == 11
    page.goto("/live")
    assert page.locator("#events tr").count() == 50
    assert "hãy tải lại trang" in page.locator("main").inner_text()
    context.close()


def test_it_prints(page: Page, tmp_path: Path) -> None:
    """On paper stand the figures and their source, and nothing that is only for a screen."""
    page.emulate_media(color_scheme="dark")
    page.goto("/?lang=vi", wait_until="load")
    content = page.pdf(format="A4", print_background=True)
    (pictures() or tmp_path).joinpath("overview.pdf").write_bytes(content)
    (tmp_path / "overview.pdf").write_bytes(content)
    reader = PdfReader(tmp_path / "overview.pdf")
    text = " ".join(" ".join(sheet.extract_text() for sheet in reader.pages).split())

    assert len(reader.pages) <= 3
    assert "11 / 227 đã hoàn thành tích hợp" in text
    assert "216 chưa có báo cáo" in text
    assert "Mã số liệu" in text
    assert "Mục tiêu 227" in text
    assert "Danh mục dịch vụ" not in text


def test_a_change_reaches_open_pages_by_itself(browser: Browser, up: Up, page: Page) -> None:
    """What a command records is on Live and Overview within two seconds; so is what comes after status was killed."""
    live, overview = page, page.context.new_page()
    live.goto("/live?lang=vi")
    overview.goto("/?lang=vi")
    for each in (live, overview):
        each.evaluate("window.same = true")
    chart = overview.locator(".on-screen .chart")
    drawn = chart.get_attribute("src")
    expect(live.locator("#following")).to_be_visible()
    named = up.tiendo("catalog", "name", "bca-012", "Đăng ký tạm trú", "--evidence", "một văn bản")
    assert named.returncode == 0, named.stderr

    advance("bca-012", up)

    expect(live.locator("#events tr").first).to_contain_text("Hoàn thành tích hợp", timeout=SOON_MS)
    expect(live.locator("#events tr").first).to_contain_text("12 / 227", timeout=SOON_MS)
    expect(overview.locator("#headline")).to_contain_text("12 / 227", timeout=SOON_MS)
    expect(overview.locator("#as_of")).to_have_value("05/10/2022")
    assert chart.get_attribute("src") != drawn

    before = sequences(live)
    kill_status(up)
    up.start()
    expect(live.locator("#news")).not_to_contain_text("Mất kết nối", timeout=10_000)
    advance("bca-013", up)

    expect(live.locator("#events tr").first).to_contain_text("13 / 227", timeout=SOON_MS)
    expect(overview.locator("#headline")).to_contain_text("13 / 227", timeout=SOON_MS)
    assert sequences(live) == [before[0] + 1, *before]
    for each in (live, overview):
        assert each.evaluate("window.same") is True


def sequences(page: Page) -> list[int]:
    """The numbers of the events that a page shows, from above."""
    return [int(number) for number in re.findall(r'data-sequence="(\d+)"', page.locator("#events").inner_html())]


def advance(service: str, up: Up) -> None:
    """Record that a service is complete."""
    done = up.tiendo("integration", "advance", service, "--to", "INTEGRATED", "--date", "05/10/2022")
    assert done.returncode == 0, done.stderr


def kill_status(up: Up) -> None:
    """End the status process as a crash would; `tiendo up` ends with it, and tells why."""
    process = next(pid for pid, command in up.parts().items() if "services.status" in command)
    os.kill(process, signal.SIGKILL)
    assert up.process
    deadline = time.monotonic() + 15
    while up.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    up.collect()
