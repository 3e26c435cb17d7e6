"""Text as people write it in Vietnamese: one form for storage, one for finding, one for ordering.

Invariant: NFC and NFD spellings of the same text give the same stored text, folded text, key and alias.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

from services.common.errors import Reason, Refusal

ALIAS_LIMIT = 63

_SYLLABLES = 16_384
_SYLLABLE_LIMIT = 32

_ALPHABET = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
# Digits sort before letters, and the mark that ends a word before both.
_CODES = dict(zip(_ALPHABET, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg", strict=True))
_END = "!"
_SHAPES = {"\u0302": {"a": "â", "e": "ê", "o": "ô"}, "\u0306": {"a": "ă"}, "\u031b": {"o": "ơ", "u": "ư"}}
# Level (ngang) has no mark and sorts first; then huyền, hỏi, ngã, sắc, nặng, and marks of other languages.
_TONES = {"\u0300": "1", "\u0309": "2", "\u0303": "3", "\u0301": "4", "\u0323": "5"}
_FOREIGN_MARK = "6"
# The eth and the African d look the same on screen and come from old keyboards and scans.
_D_WITH_STROKE = str.maketrans("ðɖ", "đđ")

# The last two are no characters at all: no XML, so no workbook, can hold them.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_BREAKS = re.compile("[\t\n\r]")


def nfc(text: str) -> str:
    """Give the composed form, in which texts are stored and their characters counted."""
    return unicodedata.normalize("NFC", text)


def _decomposed(text: str) -> str:
    # Case folding and decomposition feed each other (a script H gives H, a dotted I gives i and a dot), hence twice.
    once = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFKD", once).casefold().translate(_D_WITH_STROKE)


def _each_piece(form: Callable[[str], str]) -> Callable[[str], list[str]]:
    """Apply a form to each piece of a text between blanks, and remember it for the short ones.

    Vietnamese writes its few thousand syllables apart, so that spares nearly all the work; what is longer is no
    syllable and would only fill the memory.
    """
    remembered = lru_cache(maxsize=_SYLLABLES)(form)

    def apply(text: str) -> list[str]:
        return [remembered(piece) if len(piece) <= _SYLLABLE_LIMIT else form(piece) for piece in text.split()]

    return apply


@_each_piece
def _folded_pieces(piece: str) -> str:
    plain = []
    for character in _decomposed(piece):
        if character.isalnum():
            plain.append(character)
        elif unicodedata.category(character) not in ("Mn", "Mc", "Me", "Cf"):
            plain.append(" ")
    return "".join(plain).replace("đ", "d")


def fold(text: str) -> str:
    """Give the form for finding: no case, no accents, đ as d, single spaces between words of letters and digits."""
    return " ".join(" ".join(_folded_pieces(text)).split())


def search_words(query: str) -> tuple[str, ...]:
    """Give the folded words of a query, each once, in the order they were typed."""
    return tuple(dict.fromkeys(fold(query).split()))


def has_words(words: Iterable[str], folded: str) -> bool:
    """Whether each of the folded words begins a word of the folded text, in any order."""
    text = " " + folded
    return all(" " + word in text for word in words)


def _number(digits: str) -> str:
    # The length goes first, in a code no other length's code begins with, so that 2 < 10 < 100.
    significant = digits.lstrip("0")
    nines, rest = divmod(len(significant), 9)
    return "9" * nines + str(rest) + significant


def _word_key(word: str) -> str:
    letters: list[str] = []
    tones: list[str] = []
    base = ""
    for part in re.findall(r"[0-9]+|[^0-9]", word):
        if part[0] in "0123456789":
            letters.append(_number(part))
            base = ""
        elif unicodedata.category(part)[0] == "M":
            if shaped := _SHAPES.get(part, {}).get(base):
                letters[-1] = _CODES[shaped]
            else:
                tones.append(_TONES.get(part, _FOREIGN_MARK))
        else:
            letters.append(_CODES.get(part) or f"z{ord(part):06x}")
            base = part
    # A syllable has one tone wherever it is written (hòa, hoà), so its place does not count.
    return "".join(letters) + _END + "".join(tones) + _END


@_each_piece
def _keys_of_pieces(piece: str) -> str:
    words: list[str] = []
    word: list[str] = []
    for character in _decomposed(piece) + " ":
        category = unicodedata.category(character)
        if character.isalnum() or (category[0] == "M" and word):
            word.append(character)
        elif category[0] != "M" and category != "Cf" and word:
            words.append(_word_key("".join(word)))
            word = []
    return "".join(words)


def spelling(text: str) -> str:
    """Give what two spellings of one text share: capitals, punctuation, blanks and the place of a tone mark do not count."""
    return "".join(_keys_of_pieces(text))


@_each_piece
def _capitals_of_pieces(piece: str) -> str:
    return "".join("1" if character.isupper() else "0" for character in piece if character.isalpha())


def sort_key(text: str) -> str:
    """Give a key in printable ASCII whose order by code points ("C", binary) is the order of a Vietnamese dictionary.

    Word by word, as dictionaries go syllable by syllable: first the letters (a ă â b c d đ e ê …), then the tone
    (ngang, huyền, hỏi, ngã, sắc, nặng); case decides last, small before capital. Numbers go by value, before letters;
    punctuation only parts words; other scripts follow Latin. Texts alike in all of this share one key.
    """
    return spelling(text) + _END + "".join(_capitals_of_pieces(nfc(text))).rstrip("0")


def clean(
    value: str,
    field: str,
    *,
    limit: int,
    required: bool = False,
    multiline: bool = False,
    empty_reason: Reason = Reason.MISSING_VALUE,
) -> str:
    r"""Give the text as it is stored: NFC, without blanks at its ends, line ends as \n.

    `limit` is in characters of that form. Raises Refusal INVALID_CHARACTER for control characters, U+FFFE, U+FFFF and
    lone surrogates (tab and line ends are allowed in a multiline text), TEXT_TOO_LONG, and `empty_reason` when a required
    text shows nothing.
    """
    text = value.strip(" \t\r\n")
    if text and len(text) <= limit and text.isascii() and text.isprintable():
        return text  # nothing below would change it, and most texts of a command are of this kind
    # One character of NFC decomposes to four at most, so what is longer than this cannot fit; this spares the work.
    if len(text) > 4 * limit:
        raise _too_long(field, limit, len(text))
    if found := _CONTROLS.search(text) or (None if multiline else _BREAKS.search(text)):
        character = f"U+{ord(found[0]):04X}"
        raise Refusal(
            Reason.INVALID_CHARACTER,
            f"holds the control character {character} at position {found.start() + 1}; remove it",
            field=field,
            metadata={"character": character},
        )
    text = nfc(text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if len(text) > limit:
        raise _too_long(field, limit, len(text))
    if all(character.isspace() or unicodedata.category(character) == "Cf" for character in text):
        if required:
            raise Refusal(empty_reason, "is empty; give a text", field=field)
        return ""
    return text


def _too_long(field: str, limit: int, length: int) -> Refusal:
    return Refusal(
        Reason.TEXT_TOO_LONG,
        f"has {length:,} characters; give at most {limit:,}",
        field=field,
        metadata={"limit": str(limit), "length": str(length)},
    )


def alias_of(name: str) -> str:
    """Give the name as an id: `Đăng ký thường trú` gives `dang-ky-thuong-tru`; empty when no letter or digit is left.

    At most 63 characters of [a-z0-9-], cut after a word; a first word that is longer is cut hard.
    """
    words = re.findall("[a-z0-9]+", fold(name))
    if not words:
        return ""
    alias = words[0][:ALIAS_LIMIT]
    for word in words[1:]:
        if len(alias) + 1 + len(word) > ALIAS_LIMIT:
            break
        alias += "-" + word
    return str(alias)
