"""The pages say what status knows: the same figures as the calls, in both languages, whatever is asked."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.common.metrics import REQUEST_DURATION
from services.common.ports import PortTakenError
from services.status.app import serve
from services.status.config import StatusSettings
from tests.support.pages import Site, rows_of, running_site, text_of
from tests.support.peers import blocked, integrated, service_named
from tests.support.ports import free_port
from tests.support.scrape import page_of
from tests.support.status_service import running_status
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import completion_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGES = ("/", "/services", "/services/bca-001", "/services/bca-012", "/live", "/attention")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Site]:
    """Pages over the real programme, as its source has it; tests of this module only read."""
    async with running_site() as running:
        yield running


async def test_the_overview_says_how_complete_in_both_languages(site: Site) -> None:
    """The headline has completed, planned, share, not reported and as of; what is not known is called so."""
    vietnamese, english = await site.text("/?lang=vi"), await site.text("/?lang=en")

    assert "11 / 227 đã hoàn thành tích hợp (4,85%) · 216 chưa có báo cáo" in vietnamese
    assert "Mục tiêu: hoàn thành tích hợp trong năm 2022" in vietnamese
    assert "Còn phải hoàn thành 216 trong 227 dịch vụ" in vietnamese
    assert "Cần bình quân mỗi tháng 72 đến 31/12/2022" in vietnamese
    assert "Thực tế bình quân mỗi tháng chưa đủ số liệu" in vietnamese
    assert "Đã có trên Cổng Bộ 11 trong 227 dịch vụ" in vietnamese
    assert "Dự báo chưa đủ số liệu" in vietnamese
    assert "Đã qua thời hạn mục tiêu (trong năm 2022): 11 / 227 đã hoàn thành, 216 chưa có báo cáo" in vietnamese
    assert "Chưa rõ lĩnh vực 216 0 0,00% 0 0 216" in vietnamese
    assert "Đăng ký, quản lý cư trú (suy luận) 3 3 100% 0 0 0" in vietnamese
    assert (
        '"Hoàn thành" là đã cung cấp trên cả Cổng Dịch vụ công Bộ Công an và Cổng Dịch vụ công quốc gia.' in vietnamese
    )
    assert "11 / 227 completed (4.85 %) · 216 not reported" in english
    assert "Field not known 216 0 0.00 % 0 0 216" in english
    assert "không" not in english.partition("Data reference")[0].partition("By field")[0]


@pytest.mark.parametrize(
    ("as_of", "completed", "uncertain"),
    [("2022-08", 0, 11), ("15/09/2022", 0, 11), ("2022-09", 11, 0), ("30/09/2022", 11, 0), ("2022", 11, 0)],
)
async def test_another_day_counts_what_was_certain_then(site: Site, as_of: str, completed: int, uncertain: int) -> None:
    """Before the last day of 09/2022 nobody knows which of the 11 were complete: they are "day not known"."""
    text = await site.text(f"/?lang=vi&as_of={as_of}")

    assert f"{completed} / 227 đã hoàn thành tích hợp" in text
    assert (f"Chưa rõ ngày {uncertain} " in text) == (uncertain > 0)
    assert "216 chưa có báo cáo" in text


@pytest.mark.parametrize("day", [(2021, 12, 31), (2022, 8, 0), (2022, 9, 30), (2026, 1, 1)])
async def test_figures_are_those_of_the_call(site: Site, day: tuple[int, int, int]) -> None:
    """Every number of the bar, the stages and the fields is what GetCompletion gives for the same day."""
    answer = await site.service.completion(
        as_of=date_pb2.PartialDate(year=day[0], month=day[1], day=day[2]), group_by=completion_pb2.GROUP_BY_FIELD
    )
    shown = "-".join(f"{part:02}" for part in day if part)
    page = await site.get(f"/?lang=en&as_of={shown}")
    words, total = text_of(page), answer.total

    bar = re.search(r'class="bar"[^>]*aria-label="([^"]*)"', page.text)
    assert bar
    numbers = [int(number) for number in re.findall(r": (\d+)", bar[1])]
    counted = (total.completed, total.in_progress, total.uncertain, total.suspended, total.withdrawn)
    assert numbers == [total.planned, *counted, total.not_reported]
    assert f"{total.completed} / {total.planned} completed" in words
    for group in answer.groups:
        counts = group.counts
        assert re.search(
            rf"{group.key or 'Field not known'}(?: \(inferred\))? {counts.planned} {counts.completed} .*?{counts.not_reported}",
            words,
        )


async def test_what_was_recorded_later_is_left_out(site: Site) -> None:
    """As known before the seed there was no programme, and the page says from when on there is."""
    text = await site.text("/?lang=vi&known_at=2020", 404)

    assert "Không tìm thấy" in text
    assert "11 / 227" in await site.text("/?lang=vi&known_at=2100")


async def test_search_ignores_accents_order_and_case(site: Site) -> None:
    """Words without accents, several, in any order, an id or a number find the service."""
    for query, first in (
        ("cap ho chieu", "bca-001"),
        ("CHIẾU hộ", "bca-001"),
        ("dang ky thuong", "bca-002"),
        ("bca-150", "bca-150"),
        ("motorcycles", "bca-003"),
    ):
        assert rows_of(await site.get(f"/services?q={query}"))[0] == first
    nothing = await site.get("/services?q=khongcogi&lang=vi")
    assert rows_of(nothing) == []
    assert "Không có dịch vụ nào như vậy." in text_of(nothing)


async def test_lists_have_pages_that_hold_each_service_once(site: Site) -> None:
    """227 services are on five pages, in the order of the plan, each once; slots are called so."""
    pages = [await site.get(f"/services?lang=vi&page={number}") for number in range(1, 6)]
    listed = [service for page in pages for service in rows_of(page)]

    assert listed == [f"bca-{number:03}" for number in range(1, 228)]
    assert "Mục số 12 (chưa có tên)" in text_of(pages[0])
    assert "Trang 5 / 5" in text_of(await site.get("/services?lang=vi&page=99"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("outcome=COMPLETED", 11),
        ("outcome=NOT_REPORTED", 216),
        ("outcome=UNCERTAIN&as_of=2022-08", 11),
        ("stage=INTEGRATED", 11),
        ("stage=SELECTED", 216),
        ("condition=ACTIVE", 227),
        ("naming=SLOT", 216),
        ("field=-", 216),
        ("field=Đăng ký, quản lý cư trú", 3),
        ("agency=-", 227),
        ("level=-&q=ho chieu", 1),
    ],
)
async def test_a_list_narrowed_down_is_as_long_as_the_overview_says(site: Site, query: str, found: int) -> None:
    """Each way to narrow the list down finds as many as are counted."""
    assert f"{found} of 227 services" in await site.text(f"/services?lang=en&{query}")


async def test_lists_sort_by_the_vietnamese_alphabet_with_slots_last(site: Site) -> None:
    """By name A to Z the named come first, C before Đ before K; by date the dated do."""
    by_name = rows_of(await site.get("/services?sort=name"))
    backwards = rows_of(await site.get("/services?sort=-name"))

    assert by_name[:4] == ["bca-001", "bca-011", "bca-005", "bca-003"]
    assert backwards[:11] == by_name[:11][::-1]
    assert by_name[11] == "bca-012"
    assert rows_of(await site.get("/services?sort=-date"))[11] == "bca-012"
    assert rows_of(await site.get("/services?sort=-stage"))[0] == "bca-001"
    assert rows_of(await site.get("/services?sort=-number"))[0] == "bca-227"


async def test_a_service_says_what_is_known_and_from_where(site: Site) -> None:
    """Facts have their provenance, what is not known is called so, an alias leads there too."""
    text = await site.text("/services/khai-bao-tam-vang?lang=vi")

    assert "Khai báo tạm vắng" in text
    assert "Lĩnh vực Đăng ký, quản lý cư trú Suy luận [1]" in text
    assert "Cơ quan chưa rõ" in text
    assert "đến 09/2022 Đã rà soát, lựa chọn → Đã hoàn thành tích hợp Nguyễn Văn Đức" in text
    slot = await site.text("/services/bca-012?lang=en")
    assert "No. 12 (not yet named)" in slot
    assert "this does not mean not started" in slot


async def test_attention_with_the_seed_is_one_line(site: Site) -> None:
    """The date has passed; nobody says that the target was missed, and no slot is listed as late."""
    page = await site.get("/attention?lang=vi")

    assert "Đã qua thời hạn mục tiêu (trong năm 2022): 11 / 227 đã hoàn thành, 216 chưa có báo cáo" in text_of(page)
    assert "Cần xử lý (1)" in page.text
    assert "<td" not in page.text
    assert "216 dịch vụ chưa có báo cáo; không có nghĩa là chưa thực hiện." in text_of(page)


@pytest.mark.parametrize(
    ("path", "code", "vietnamese", "english"),
    [
        (
            "/?as_of=hom+nay",
            400,
            "Số liệu tính đến: Không đọc được ngày “hom nay”; viết 05/10/2022",
            "As of: Cannot read",
        ),
        ("/?as_of=2022-13", 400, "Không đọc được ngày “2022-13”", "Cannot read the date “2022-13”"),
        ("/?known_at=gio", 400, "không đọc được thời điểm “gio”", "cannot read the time “gio”"),
        ("/?programme=nope", 404, "Không có chương trình nope", "There is no programme nope"),
        ("/services?stage=FOO", 400, "Không có giá trị “FOO”", "“FOO” is not one of the known values"),
        ("/services?sort=color", 400, "Không có giá trị “color”", "“color” is not one of the known values"),
        ("/services?page=0", 400, "không đúng quy cách", "not of the expected form"),
        (f"/services?q={'a' * 501}", 400, "dài 501 ký tự, tối đa 500", "has 501 characters, at most 500"),
        ("/services/nope", 404, "Không có dịch vụ “nope”", "There is no service “nope”"),
        ("/nowhere", 404, "Không có trang này.", "There is no such page."),
    ],
)
async def test_bad_addresses_are_told_what_helps(
    site: Site, path: str, code: int, vietnamese: str, english: str
) -> None:
    """A wrong address gives a proper page in the reader's language that names the part and how to write it."""
    for lang, words in (("vi", vietnamese), ("en", english)):
        answer = await site.get(f"{path}{'&' if '?' in path else '?'}lang={lang}", code)
        assert words in text_of(answer)
        assert f'<html lang="{lang}">' in answer.text


async def test_pages_are_read_only_and_guarded(site: Site) -> None:
    """No other method is answered; every answer has the headers that keep strangers' scripts and frames out."""
    for path in (*PAGES, "/nowhere", "/?as_of=x"):
        answer = await site.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", answer.text)
    assert (await site.client.post("/")).status_code == 405
    assert (await site.client.head("/")).content == b""
    sheet = re.search(r'href="(/static/tiendo\.[0-9a-f]{12}\.css)"', (await site.client.get("/")).text)
    assert sheet
    assert "immutable" in (await site.get(sheet[1])).headers["cache-control"]
    await site.get("/static/tiendo.000000000000.css", 404)


async def test_the_language_is_the_switch_s_then_the_browser_s_then_vietnamese(site: Site) -> None:
    """What was chosen once holds; without a choice the browser's first language that is known does."""
    site.client.cookies.clear()
    for accepted, lang in (("en-GB,en;q=0.9", "en"), ("fr, vi;q=0.5, en;q=0.1", "vi"), ("fr", "vi"), (";q=x", "vi")):
        assert f'<html lang="{lang}">' in (await site.get("/", accept_language=accepted)).text
    chosen = await site.get("/?lang=en", accept_language="vi")
    assert "HttpOnly" in chosen.headers["set-cookie"]
    assert '<html lang="en">' in (await site.get("/services", accept_language="vi")).text
    site.client.cookies.clear()


async def test_hostile_texts_stay_texts() -> None:
    """Names and reasons that look like markup are shown as they are, on every page that shows them."""
    name, hostile = "<script>alert(1)</script> & \"Tên\" 'x'", "<img src=x onerror=alert(1)>"
    async with running_site() as site:
        site.peers.catalog.add(service_named(12, name))
        event = integrated(12, site.peers.catalog.revision, year=2022, month=10)
        event.actor = hostile
        event.integration_advanced.transition.evidence[0].link = "javascript:alert(1)"
        site.peers.integration.add(event)
        held = blocked(13, site.peers.catalog.revision, transition=1, blocks=True)
        held.integration_blocked.transition.reason = hostile
        site.peers.integration.add(held)
        await site.caught_up()
        for path in ("/", "/services?q=script", "/services/bca-012", "/services/bca-013", "/live", "/attention"):
            page = await site.get(path)
            assert "<script>alert" not in page.text
            assert "<img src=x" not in page.text
            assert 'href="javascript' not in page.text
        assert name in text_of(await site.get("/services/bca-012"))
        assert hostile in text_of(await site.get("/attention"))
        for query in ("q=<script>alert(1)</script>", 'as_of="><script>alert(1)</script>', "field=<img src=x>"):
            for path in ("/", "/services"):
                assert "<script>alert" not in (await site.client.get(f"{path}?{query}")).text


async def test_a_taken_port_is_told_with_its_setting() -> None:
    """Where another program listens on the pages' port, status does not start and says which setting helps."""
    async with running_site() as site, running_status() as (other, _):
        taken = other.own.model_copy(update={"port": free_port(), "web_port": site.service.own.web_port})
        with pytest.raises(PortTakenError, match="TIENDO_STATUS_WEB_PORT"):
            await serve(other.shared, taken, site.service._stopping)


async def test_no_pages_where_none_are_wanted() -> None:
    """An empty port means no pages; the default is the one that the README names."""
    assert StatusSettings(web_port="").web_port is None  # type: ignore[arg-type]
    assert StatusSettings.model_fields["web_port"].default == 7100


@pytest.mark.parametrize(
    ("suffix", "kind", "begins"),
    [
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK"),
        ("pdf", "application/pdf", b"%PDF"),
        ("csv", "text/csv; charset=utf-8", b"\xef\xbb\xbf"),
    ],
)
async def test_the_overview_leads_to_its_files(site: Site, suffix: str, kind: str, begins: bytes) -> None:
    """Each file is of the day, the language and the data that the page shows; a wrong day is told like on a page."""
    if suffix != "csv":
        assert f'href="/report.{suffix}?as_of=2022-08&amp;lang=vi"' in (await site.get("/?lang=vi&as_of=2022-08")).text
    answer = await site.get(f"/report.{suffix}?as_of=2022-08&lang=vi")

    assert answer.headers["content-type"] == kind
    assert f"bca-2022-2022-08.{suffix}" in answer.headers["content-disposition"]
    assert answer.content.startswith(begins)
    await site.get(f"/report.{suffix}?as_of=x", 400)


async def test_requests_are_measured_by_route_and_code(site: Site) -> None:
    """A scrape tells pages apart by their routes and codes; an address that is none has no route, whatever it is."""
    name = "http_server_request_duration_seconds"
    for path, code in (("/services/bca-003", 200), ("/services/bca-999", 404), ("/nowhere", 404), ("/nor-here", 404)):
        await site.get(path, code)
    assert site.service.own.metrics_port
    page = await page_of(site.service.own.metrics_port)
    route = {"http_route": "/services/{service_id}", "http_request_method": "GET", "url_scheme": "http"}

    assert page.value(f"{name}_count", http_response_status_code="200", **route) >= 1
    assert page.value(f"{name}_count", http_response_status_code="404", **route) >= 1
    assert not [each for each in page.families[name].samples if "nowhere" in str(each.labels)]
    assert page.families[name].documentation == REQUEST_DURATION.description
    assert page.labels(name) - {"le", "service_name"} <= set(REQUEST_DURATION.prometheus_labels)
