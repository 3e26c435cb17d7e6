"""What a client sends back to us is ours, or it is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Reason, Refusal
from services.common.resources import (
    Revision,
    check_id,
    check_mask,
    check_request_id,
    decode_revision,
    etag,
    parse_name,
    seal,
    unseal,
)


def test_names() -> None:
    """A name is collection and id; an empty one gives the default where there is one."""
    assert parse_name("services/bca-001", "services") == "bca-001"
    assert parse_name("services/dang-ky-tam-tru", "services") == "dang-ky-tam-tru"
    assert parse_name("", "programmes", "programme", default="bca-2022") == "bca-2022"
    assert check_id("x" * 63, "service_id") == "x" * 63


@pytest.mark.parametrize(
    "name",
    [
        "bca-001",
        "services/",
        "services",
        "services/BCA-001",
        "services/đăng",
        "services/bca-001\n",
        "services/a/b",
        "programmes/bca-001",
        "/services/bca-001",
        "services/" + "x" * 64,
    ],
)
def test_other_names_are_refused(name: str) -> None:
    """Anything that is not collection/id is refused, naming the field."""
    with pytest.raises(Refusal) as caught:
        parse_name(name, "services", "service")

    assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_NAME, ("service",))


def test_empty_names_and_ids_are_missing() -> None:
    """An empty name without default is a missing value, and so is an empty id."""
    with pytest.raises(Refusal) as of_name:
        parse_name("", "services")
    with pytest.raises(Refusal) as of_id:
        check_id("", "service_id")

    assert (of_name.value.reason, of_name.value.fields) == (Reason.MISSING_VALUE, ("name",))
    assert (of_id.value.reason, of_id.value.fields) == (Reason.MISSING_VALUE, ("service_id",))


@pytest.mark.parametrize("value", ["A", "a_b", "a b", "x" * 64, "a\n"])
def test_other_ids_are_refused(value: str) -> None:
    """An id has 1 to 63 characters of a-z, 0-9 and the hyphen."""
    with pytest.raises(Refusal) as caught:
        check_id(value, "service_id")

    assert caught.value.reason is Reason.INVALID_NAME


def test_etag() -> None:
    """An etag is 22 URL-safe characters that depend on the content alone."""
    assert etag(b"") == "47DEQpj8HBSa-_TImW-5JA"
    assert etag(b"a") != etag(b"b")


FIELDS = ("display_name", "alias")


def test_masks() -> None:
    """A mask gives the fields it names, all allowed ones for *, none when it is empty."""
    assert check_mask(["alias", "alias"], FIELDS) == {"alias"}
    assert check_mask(["*"], FIELDS) == {"display_name", "alias"}
    assert check_mask([], FIELDS) == frozenset()


@pytest.mark.parametrize("path", ["no_such", "displayName", "name", "", "display_name.x", "Alias"])
def test_unknown_mask_paths_are_refused(path: str) -> None:
    """A path that is unknown, fixed, or in JSON spelling is refused and named, beside * too."""
    with pytest.raises(Refusal) as caught:
        check_mask(["*", "alias", path], FIELDS)

    assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_MASK, ("update_mask",))
    assert caught.value.metadata == {"path": path, "allowed": "alias, display_name"}


def test_request_ids() -> None:
    """A request id is 1 to 128 printable ASCII characters, or empty for none."""
    assert check_request_id("") == ""
    assert check_request_id("~" * 128) == "~" * 128
    for value in ("x" * 129, "đ", "a\n", "a\x00"):
        with pytest.raises(Refusal) as caught:
            check_request_id(value)

        assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_REQUEST_ID, ("request_id",))


NAMES = st.text(st.characters(blacklist_characters="\x1f", blacklist_categories=["Cs"]), min_size=1)


@given(NAMES, NAMES, st.integers(0, 2**64))
def test_revisions_come_back(journal: str, epoch: str, sequence: int) -> None:
    """A revision survives its text form, whatever its size, and the text is URL-safe."""
    revision = Revision(journal, epoch, sequence)
    text = revision.encode()

    assert decode_revision(text, "at_least") == revision
    assert text.isascii()
    assert text.replace("-", "").replace("_", "").isalnum()


def test_large_sequences_are_exact() -> None:
    """A sequence beyond the whole numbers of a double comes back exactly."""
    text = Revision("catalog", "e1", 2**53 + 1).encode()

    assert decode_revision(text, "at_least").sequence == 9007199254740993


@given(st.integers(0, 10**6), st.integers(0, 100), st.sampled_from("abcXYZ019-_"))
def test_mistyped_revisions_are_refused(sequence: int, at: int, character: str) -> None:
    """A revision with one character changed is refused and not read as another."""
    text = Revision("integration", "0198c1f2", sequence).encode()
    at %= len(text)
    mistyped = text[:at] + character + text[at + 1 :]
    if mistyped == text:
        return

    with pytest.raises(Refusal) as caught:
        decode_revision(mistyped, "at_least")

    assert (caught.value.reason, caught.value.fields) == (Reason.INVALID_TOKEN, ("at_least",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "catalog",
        "đ",
        "A" * 70_000,
        seal(b"catalog\x1fe1"),
        seal(b"catalog\x1fe1\x1f-1"),
        seal(b"catalog\x1fe1\x1f 1"),
        seal(b"catalog\x1fe1\x1f1_0"),
        seal(b"catalog\x1fe1\x1f" + b"9" * 5000),
        seal(b"\xff\x1fe1\x1f1"),
        Revision("catalog", "e1", 1).encode() + "=",
        Revision("catalog", "e1", 1).encode() + "\n",
    ],
)
def test_texts_we_never_gave_are_refused(text: str) -> None:
    """What is no revision of ours is refused, never a crash."""
    with pytest.raises(Refusal) as caught:
        decode_revision(text, "at_least")

    assert caught.value.reason is Reason.INVALID_TOKEN


@given(st.binary())
def test_sealed_texts_have_one_spelling(content: bytes) -> None:
    """A sealed content comes back, and only from the very text that was given."""
    text = seal(content)

    assert unseal(text) == content
    assert unseal(text + "A") is None
    assert unseal(text[:-1]) is None


@given(st.text())
def test_unseal_never_fails(text: str) -> None:
    """Any text at all is either one of ours or None."""
    content = unseal(text)

    assert content is None or seal(content) == text
