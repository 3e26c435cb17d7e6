"""Vietnamese text is stored in one form, found without accents and ordered as in a dictionary."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Reason, Refusal
from services.common.text import alias_of, clean, fold, has_words, nfc, search_words, sort_key

# Letters of Vietnamese beside anything else, for plain random text seldom holds a tone.
VIETNAMESE = st.text(st.sampled_from("aăâbdđeêoôơuưyAĂÂĐÊƠƯ 019-,.ắằẳẵặốồỗộựữểệỷỵòóÒÓ\u0300\u0301\u0323\u0302\u031b"))
ANY = VIETNAMESE | st.text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Đăng ký thường trú", "dang ky thuong tru"),
        ("ĐĂNG KÝ THƯỜNG TRÚ", "dang ky thuong tru"),
        ("Cấp, cấp lại, sửa đổi, bổ sung hộ chiếu phổ thông", "cap cap lai sua doi bo sung ho chieu pho thong"),
        ("  Khai\u00a0báo\ttạm  vắng ", "khai bao tam vang"),
        ("1.003290", "1 003290"),
        ("Ðường", "duong"),
        ("\u200bxe\u00admáy", "xemay"),
        ("...", ""),
    ],
)
def test_fold(text: str, expected: str) -> None:
    """The folded form has no case, accents or punctuation, and đ is d."""
    assert fold(text) == expected


@given(ANY)
def test_fold_is_idempotent_and_blind_to_composition(text: str) -> None:
    """Folding twice changes nothing, and NFC and NFD fold alike."""
    folded = fold(text)

    assert fold(folded) == folded
    assert fold(unicodedata.normalize("NFC", text)) == folded == fold(unicodedata.normalize("NFD", text))
    assert folded == " ".join(folded.split())


@given(VIETNAMESE)
def test_fold_does_not_see_case(text: str) -> None:
    """Capitals and small letters fold alike."""
    assert fold(text.upper()) == fold(text) == fold(text.lower())


def test_search_words_each_once() -> None:
    """A query gives its folded words in order, each once."""
    assert search_words("Hộ chiếu, HO  phổ-thông") == ("ho", "chieu", "pho", "thong")
    assert search_words("…") == ()


def test_words_match_beginnings_in_any_order() -> None:
    """Each word sought begins a word of the text; order does not count, the middle of a word does not match."""
    folded = fold("Cấp lại, đổi thẻ căn cước công dân")

    assert has_words(search_words("cước căn"), folded)
    assert has_words(search_words("Cong d"), folded)
    assert not has_words(search_words("uoc"), folded)
    assert not has_words(search_words("căn nhà"), folded)


# By hand: letters first, then tone, a shorter word before what continues it, numbers by value before letters.
IN_ORDER = [
    "",
    "2 xe",
    "10 xe",
    "10a",
    "100 xe",
    "a",
    "A",
    "à",
    "ả",
    "ã",
    "á",
    "ạ",
    "an",
    "an ba",
    "án",
    "áo",
    "ăn",
    "ân",
    "ba",
    "ba chân",
    "bà",
    "bà ba",
    "bả",
    "bã",
    "bá",
    "bạ",
    "bao",
    "bảo",
    "Cấp đổi, cấp lại giấy phép lái xe",
    "Cấp lại, đổi thẻ căn cước công dân",
    "cha",
    "cho",
    "da",
    "Đăng ký thường trú",
    "đi",
    "e",
    "ê",
    "fax",
    "hoa",
    "hòa",
    "hoá",
    "hoạ",
    "Khai báo tạm vắng",
    "mục 2",
    "mục 10",
    "o",
    "ô",
    "ơ",
    "tha",
    "the",
    "thu",
    "Thu tiền",
    "thủ",
    "Thủ tục",
    "thư",
    "u",
    "ư",
    "web",
    "y",
    "z",
    "жа",
    "字",
]


def test_sort_key_orders_as_a_vietnamese_dictionary() -> None:
    """A list ordered by hand stays as it is when sorted by key, and no two of its words share one."""
    keys = [sort_key(word) for word in IN_ORDER]

    assert sorted(IN_ORDER, key=sort_key) == IN_ORDER
    assert len(set(keys)) == len(IN_ORDER)


def test_sort_key_orders_every_letter_of_the_alphabet() -> None:
    """The letters follow the Vietnamese alphabet, f j w z at their Latin places."""
    alphabet = list("aăâbcdđeêfghijklmnoôơpqrstuưvwxyz")
    shuffled = alphabet[1::2] + alphabet[::2]

    assert sorted(shuffled, key=sort_key) == alphabet


def test_names_of_the_source_are_ordered() -> None:
    """The services' own names come in the order a reader looks them up in."""
    names = [
        "Cấp, cấp lại, sửa đổi, bổ sung hộ chiếu phổ thông",
        "Đăng ký thường trú",
        "Đăng ký, cấp biển số mô tô, xe gắn máy",
        "Cấp lại, đổi thẻ căn cước công dân",
        "Khai báo tạm vắng",
        "Cấp đổi, cấp lại giấy phép lái xe",
    ]

    assert sorted(names, key=sort_key) == [
        "Cấp, cấp lại, sửa đổi, bổ sung hộ chiếu phổ thông",
        "Cấp đổi, cấp lại giấy phép lái xe",
        "Cấp lại, đổi thẻ căn cước công dân",
        "Đăng ký, cấp biển số mô tô, xe gắn máy",
        "Đăng ký thường trú",
        "Khai báo tạm vắng",
    ]


@pytest.mark.parametrize(
    ("one", "other"), [("hòa", "hoà"), ("Đăng ký, cấp", "Đăng ký - cấp"), ("mục 07", "mục 7"), ("xe", " xe ")]
)
def test_spellings_of_one_word_share_a_key(one: str, other: str) -> None:
    """Where a tone is written, punctuation and leading zeros do not separate what a reader takes as the same."""
    assert sort_key(one) == sort_key(other)


@given(ANY)
def test_sort_key_survives_storage(text: str) -> None:
    """A key is printable ASCII without blanks, and the same for NFC and NFD."""
    key = sort_key(text)

    assert all("!" <= character <= "~" for character in key)
    assert sort_key(unicodedata.normalize("NFC", text)) == key == sort_key(unicodedata.normalize("NFD", text))


@given(st.integers(0, 10**40), st.integers(0, 10**40))
def test_numbers_sort_by_value(one: int, other: int) -> None:
    """Numbers in names go by their value, however many digits they have."""
    assert (sort_key(f"mục {one} x") < sort_key(f"mục {other} x")) == (one < other)


@given(st.lists(st.text("aăâbđeêàảãáạ", min_size=1), min_size=1), st.text("abcđ", min_size=1))
def test_a_text_comes_before_its_continuation(words: list[str], more: str) -> None:
    """What continues a text by a word comes after it."""
    text = " ".join(words)

    assert sort_key(text) < sort_key(f"{text} {more}")


def refusal_of(value: str, **options: object) -> Refusal:
    """Give the refusal that cleaning the text raises."""
    settings: dict[str, object] = {"limit": 10, **options}
    with pytest.raises(Refusal) as caught:
        clean(value, "note", **settings)  # type: ignore[arg-type]
    return caught.value


def test_clean_gives_the_stored_form() -> None:
    """Text is stored composed, without blanks at its ends, with plain line ends."""
    assert clean("  Tru\u031bo\u031b\u0300ng \n", "note", limit=6) == "Trường"
    assert clean("a\r\nb\rc\td\n", "note", limit=10, multiline=True) == "a\nb\nc\td"
    assert clean(" \u3000\u200b", "note", limit=10) == ""
    assert clean("x" * 10, "note", limit=10) == "xxxxxxxxxx"


@pytest.mark.parametrize(
    ("value", "multiline", "character"),
    [
        ("a\x00b", True, "U+0000"),
        ("\x00", True, "U+0000"),
        ("a\x1b[0m", True, "U+001B"),
        ("a\x7f", True, "U+007F"),
        ("a\x85", True, "U+0085"),
        ("a\ud800", True, "U+D800"),
        ("a\u2028b", True, "U+2028"),
        ("a\nb", False, "U+000A"),
        ("a\tb", False, "U+0009"),
    ],
)
def test_control_characters_are_refused(value: str, multiline: bool, character: str) -> None:
    """A control character or lone surrogate is refused and named, at the ends too."""
    refusal = refusal_of(value, multiline=multiline)

    assert (refusal.reason, refusal.fields) == (Reason.INVALID_CHARACTER, ("note",))
    assert refusal.metadata == {"character": character}


def test_long_texts_are_refused() -> None:
    """A text over its limit is refused with limit and length, counted in composed characters."""
    refusal = refusal_of("ộ" * 11)

    assert clean(unicodedata.normalize("NFD", "ộ" * 10), "note", limit=10) == "ộ" * 10
    assert (refusal.reason, refusal.metadata) == (Reason.TEXT_TOO_LONG, {"limit": "10", "length": "11"})
    assert refusal_of("x" * 10_001, limit=2000).message == "note: has 10,001 characters; give at most 2,000"
    assert refusal_of(unicodedata.normalize("NFD", "ộ" * 11)).metadata["length"] == "11"


def test_required_texts_may_not_be_empty() -> None:
    """A required text that shows nothing is refused, with the reason the caller chose."""
    assert refusal_of(" \n\u200b", required=True).reason is Reason.MISSING_VALUE
    assert refusal_of("", required=True, empty_reason=Reason.EMPTY_REASON).reason is Reason.EMPTY_REASON


@given(ANY, st.booleans())
def test_clean_is_idempotent(text: str, multiline: bool) -> None:
    """Cleaning what was cleaned changes nothing, and the result is composed and within its limit."""
    try:
        cleaned = clean(text, "note", limit=20, multiline=multiline)
    except Refusal:
        return

    assert clean(cleaned, "note", limit=20, multiline=multiline) == cleaned == nfc(cleaned)
    assert len(cleaned) <= 20


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("Đăng ký thường trú", "dang-ky-thuong-tru"),
        ("Đăng ký tạm trú", "dang-ky-tam-tru"),
        ("Đăng ký, cấp biển số mô tô, xe gắn máy", "dang-ky-cap-bien-so-mo-to-xe-gan-may"),
        (
            "Xác nhận số Chứng minh nhân dân khi đã được cấp thẻ Căn cước công dân",
            "xac-nhan-so-chung-minh-nhan-dan-khi-da-duoc-cap-the-can-cuoc",
        ),
        ("x" * 70, "x" * 63),
        ("a " + "x" * 70, "a"),
        ("a" * 31 + " " + "b" * 31, "a" * 31 + "-" + "b" * 31),
        ("a" * 31 + " " + "b" * 32, "a" * 31),
        ("字 …", ""),
    ],
)
def test_alias(name: str, alias: str) -> None:
    """An alias is the name without accents, its words joined by hyphens, cut after a word at 63 characters."""
    assert alias_of(name) == alias


@given(ANY)
def test_alias_is_an_id(name: str) -> None:
    """Whatever the name, its alias is empty or an id."""
    alias = alias_of(name)

    assert len(alias) <= 63
    assert set(alias) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert alias.strip("-") == alias
