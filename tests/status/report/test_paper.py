"""The page to sign, as its text and its looks."""

import io
import re
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from services.cli.seed import load
from services.common.dates import PartialDate
from services.common.words import Lang
from services.status.report import Format
from services.status.storage import State
from tests.support.peers import SEEDED, Peers, integrated, programme_created, service_created
from tests.support.reports import add_autumn, add_step, held_up, made, seeded, state_of, step


@pytest.fixture(scope="module")
def seed() -> State:
    """The real programme."""
    return seeded()


def read(content: bytes) -> tuple[PdfReader, str]:
    """Give the document, and its text with each gap as one blank."""
    document = PdfReader(io.BytesIO(content))
    return document, " ".join(" ".join(page.extract_text() for page in document.pages).split())


def test_the_page_holds_the_figures_and_the_names(seed: State) -> None:
    """One page: the lines with number, share and note, the 11 names exactly, source and data reference."""
    document, text = read(made(seed, Format.PDF))

    assert len(document.pages) == 1
    assert document.pages[0].mediabox[2:] == pytest.approx([595.28, 841.89], abs=0.1)
    assert text.startswith("BỘ CÔNG AN")
    assert "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM" in text
    assert "(Số liệu tính đến tháng 9/2022)" in text
    for line in (
        "1 Dịch vụ trong kế hoạch 227 100% –",
        "2 Đã hoàn thành tích hợp 11 4,85% –",
        "3 Đang triển khai 0 0,00% – trong đó vướng mắc: 0",
        "4 Chưa rõ ngày 0 0,00% –",
        "5 Tạm ngừng cung cấp 0 0,00% –",
        "6 Đã rút khỏi kế hoạch 0 0,00% –",
        "7 Chưa có báo cáo 216 95,15% – không có nghĩa là chưa thực hiện",
        "Khó khăn, vướng mắc: chưa ghi nhận.",
    ):
        assert line in text
    for number, service in enumerate(load().services[:11], 1):
        assert f"{number}. {service.display_name} " in text
    assert "Nguồn: Báo cáo về chương trình phối hợp công tác dân vận năm 2022" in text
    assert "Mã số liệu: " in text
    assert text.endswith("NGƯỜI LẬP BIỂU (ký, ghi rõ họ tên) THỦ TRƯỞNG ĐƠN VỊ (ký, đóng dấu)")


def test_the_english_page_says_the_same(seed: State) -> None:
    """The same figures in English, the names in the source's spelling with what they mean."""
    document, text = read(made(seed, Format.PDF, Lang.EN))

    assert len(document.pages) == 1
    assert "2 Completed 11 4.85 % –" in text
    assert "7 Not reported 216 95.15 % – does not mean not started" in text
    assert "2. Đăng ký thường trú (Registration of permanent residence)" in text
    assert "(As of 09/2022)" in text


def test_fonts_are_in_the_file(seed: State) -> None:
    """Every font is embedded, and no letter of the page is one the fonts lack."""
    document, text = read(made(seed, Format.PDF))
    fonts = [font.get_object() for font in document.pages[0]["/Resources"]["/Font"].values()]  # type: ignore[index]
    descriptors = [font["/DescendantFonts"][0].get_object()["/FontDescriptor"] for font in fonts]

    assert descriptors
    assert all("/FontFile3" in one or "/FontFile2" in one for one in descriptors)
    assert "\ufffd" not in text


def test_the_same_state_gives_the_same_bytes(seed: State) -> None:
    """Made twice the page is byte for byte the same, dated by the state."""
    first = made(seed, Format.PDF)

    assert first == made(seed, Format.PDF)
    assert f"D:{seed.head.recorded_time:%Y%m%d%H%M%S}" in str(read(first)[0].metadata)


def test_what_an_autumn_changed_is_shown() -> None:
    """Changes against the day compared with, obstacles with their reasons, what the question leaves out."""
    state = seeded(add_autumn)
    _, text = read(made(state, Format.PDF, as_of=PartialDate(2022, 10), compare=PartialDate(2022, 9, 29)))
    known = made(state, Format.PDF, as_of=PartialDate(2022, 10, 5), known_at=SEEDED + timedelta(seconds=300))
    filtered = made(state, Format.PDF, filter="outcome = COMPLETED", as_of=PartialDate(2022))

    assert "(Số liệu tính đến tháng 10/2022) So với kỳ trước: 29/09/2022" in text
    assert "2 Đã hoàn thành tích hợp 12 5,29% +11" in text
    assert "4 Chưa rõ ngày 0 0,00% -11" in text
    assert "3 Đang triển khai 1 0,44% 0 trong đó vướng mắc: 1" in text
    assert "Mục số 13 (chưa có tên): chờ kết nối" in text
    assert "12. Đăng ký tạm trú" in text
    assert "(Số liệu tính đến ngày 05/10/2022) Theo những gì đã ghi nhận đến 14/06/2024 08:05:00" in read(known)[1]
    assert "(Số liệu tính đến năm 2022) Chỉ gồm các dịch vụ khớp điều kiện: outcome = COMPLETED" in read(filtered)[1]
    assert "1 Dịch vụ trong kế hoạch 12 100%" in read(filtered)[1]


# What the typesetter's language gives a meaning to; blanks are squeezed and quotes kept, so that the text can be compared.
MARKUP = st.text("#*_$\\`<>@=-+/~[]{}()\"'ĐệA1", min_size=1, max_size=30).filter(lambda text: bool(text.strip()))


@settings(max_examples=8)
@given(st.lists(MARKUP, min_size=10, max_size=10))
def test_a_name_is_never_read_as_markup(texts: list[str]) -> None:
    """Whatever stands in a text is printed letter by letter."""
    _, text = read(made(held_up(texts), Format.PDF))

    squeezed = text.replace(" ", "")
    for reason in texts:
        assert f"(chưacótên):{reason}" in squeezed


def test_a_long_list_goes_on_over_pages() -> None:
    """Each further page says whose it is and its number; the signatures stand together on the last."""
    document, text = read(made(many(400), Format.PDF))
    pages = [page.extract_text() for page in document.pages]

    assert len(pages) > 5
    assert [int(number) for number in re.findall(r"\. Dịch vụ (\d+) ", text)] == list(range(1, 401))
    assert "Trang" not in pages[0]
    for number, page in enumerate(pages[1:], 2):
        assert f"Trang {number} / {len(pages)}" in page
        assert "227 dịch vụ công trực tuyến của Bộ Công an · Số liệu tính đến 08/2022" in page
        assert "Mã số liệu: " in page
    assert [
        number for number, page in enumerate(pages) if re.search("NGƯỜI LẬP BIỂU|ngày … tháng|THỦ TRƯỞNG", page)
    ] == [len(pages) - 1]
    assert "xem danh sách dịch vụ trong tệp Excel" not in text


def test_a_list_for_nobody_to_sign_is_cut_with_a_word() -> None:
    """Beyond 2,000 names the page says how many more there are and where they stand."""
    _, text = read(made(many(2003), Format.PDF))

    assert "2000. Dịch vụ 2000 … và 3 dịch vụ nữa, xem danh sách dịch vụ trong tệp Excel." in text


def many(number_of_services: int) -> State:
    """A programme of so many services, all complete."""
    peers = Peers()
    peers.catalog.add(programme_created(number_of_services))
    for number in range(1, number_of_services + 1):
        peers.catalog.add(service_created(number, f"Dịch vụ {number}"))
        peers.integration.add(integrated(number, "", year=2022, month=8))
    return state_of(peers)


def test_an_owner_who_is_not_known_is_left_to_be_filled_in() -> None:
    """Nothing official is made up: dots stand where the programme names no owner."""

    def add(peers: Peers) -> None:
        peers.catalog.add(programme_created())
        add_step(peers, "bca-001", "integration_advanced", step(1, "ADVANCED", "2022-08", to="BUILT"))

    peers = Peers()
    add(peers)
    assert read(made(state_of(peers), Format.PDF))[1].startswith("…………")
