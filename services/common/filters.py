"""Filters over lists that are already in memory: a text becomes a question to each item.

Invariant: a filter is read or refused as a whole; what it names is known before the first item is asked.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from services.common.errors import Reason, Refusal
from services.common.listing import unknown_field
from services.common.text import fold, has_words, search_words

T = TypeVar("T")
Predicate = Callable[[T], bool]

FILTER_LIMIT = 2_000
NESTING_LIMIT = 20

_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(!=|[=:()])|([^\s"=!:()<>,\\]+))', re.DOTALL)
_KEYWORDS = frozenset({"AND", "OR", "NOT"})


@dataclass(frozen=True)
class FilterField(Generic[T]):
    """A field a filter may name.

    `get` gives the item's values, none for "not known". `values` are the words an enum knows, in any case in a filter.
    With `fold`, `get` gives texts that were folded once, when the list was made (`text.fold`); the filter's own value is
    folded here. With `words` too, every sign asks for words: such a text is never compared as a whole. Where none of
    these is given, `get` gives values without capitals.
    """

    get: Callable[[T], Collection[str]]
    values: frozenset[str] | None = None
    fold: bool = False
    words: bool = False


class _Token(NamedTuple):
    kind: str  # "value" (quoted), "word", one of = != : ( ), or "end"
    text: str
    position: int  # of its first character, from 1


def parse_filter(text: str, fields: Mapping[str, FilterField[T]]) -> Predicate[T]:
    r"""Read a filter, a subset of AIP-160: comparisons joined by AND, OR, NOT and parentheses; empty lets all pass.

    `name = VALUE` and `name != VALUE` ask whether one of the field's values is VALUE, case ignored; `name : VALUE` asks
    the same, or for a folded field whether each word of VALUE begins a word of it; `name : *` asks for any value at all.
    VALUE is a bare word or "quoted", with \" and \\. As the AIP has it, OR binds closer than AND. Bounds: 2,000
    characters, 20 levels. Raises Refusal INVALID_FILTER, UNKNOWN_FIELD or UNKNOWN_VALUE.
    """
    if len(text) > FILTER_LIMIT:
        raise _unreadable(f"is longer than {FILTER_LIMIT:,} characters; shorten it", FILTER_LIMIT + 1)
    tokens = _tokens(text)
    if tokens[0].kind == "end":
        return lambda _: True
    return _FilterReader(tokens, fields).read()


def _unreadable(problem: str, position: int) -> Refusal:
    return Refusal(Reason.INVALID_FILTER, problem, field="filter", metadata={"position": str(position)})


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if not found:
            position = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            raise _unreadable(f'cannot be read at character {position}; quote values, as in name = "a, b"', position)
        quoted, sign, word = found.groups()
        if quoted is not None:
            tokens.append(_Token("value", re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL), found.start(1)))
        elif sign is not None:
            tokens.append(_Token(sign, sign, found.start(2) + 1))
        else:
            tokens.append(_Token("word", word, found.start(3) + 1))
        at = found.end()
    tokens.append(_Token("end", "", len(text) + 1))
    return tokens


class _FilterReader(Generic[T]):
    """Recursive descent over the tokens of one filter."""

    def __init__(self, tokens: list[_Token], fields: Mapping[str, FilterField[T]]) -> None:
        self._tokens = tokens
        self._fields = fields
        self._at = 0
        self._depth = 0

    def read(self) -> Predicate[T]:
        predicate = self._all()
        if self._peek().kind != "end":
            raise self._unexpected("AND, OR or the end")
        return predicate

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _keyword(self, word: str) -> bool:
        token = self._peek()
        found = token.kind == "word" and token.text == word
        self._at += found
        return found

    def _unexpected(self, wanted: str) -> Refusal:
        token = self._peek()
        there = "the end" if token.kind == "end" else repr(token.text)
        return _unreadable(f"{there} at character {token.position} is not {wanted}", token.position)

    def _all(self) -> Predicate[T]:
        parts = [self._any()]
        while self._keyword("AND"):
            parts.append(self._any())
        return parts[0] if len(parts) == 1 else lambda item: all(part(item) for part in parts)

    def _any(self) -> Predicate[T]:
        parts = [self._not()]
        while self._keyword("OR"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda item: any(part(item) for part in parts)

    def _not(self) -> Predicate[T]:
        if not self._keyword("NOT"):
            return self._simple()
        self._deeper()
        inner = self._not()
        self._depth -= 1
        return lambda item: not inner(item)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > NESTING_LIMIT:
            raise _unreadable(f"is nested deeper than {NESTING_LIMIT} levels; flatten it", self._peek().position)

    def _simple(self) -> Predicate[T]:
        if self._peek().kind != "(":
            return self._comparison()
        self._take()
        self._deeper()
        inner = self._all()
        if self._peek().kind != ")":
            raise self._unexpected("a closing parenthesis")
        self._take()
        self._depth -= 1
        return inner

    def _comparison(self) -> Predicate[T]:
        if self._peek().kind != "word" or self._peek().text in _KEYWORDS:
            raise self._unexpected("a field's name")
        name = self._take().text
        if name not in self._fields:
            raise unknown_field(name, self._fields, "filter")
        if self._peek().kind not in ("=", "!=", ":"):
            raise self._unexpected(f"=, != or : after {name}")
        sign = self._take().kind
        token = self._peek()
        if token.kind != "value" and (token.kind != "word" or token.text in _KEYWORDS):
            raise self._unexpected("a value; quote it if it is not one plain word")
        return _compare(name, self._fields[name], sign, self._take())


def _compare(name: str, field: FilterField[T], sign: str, token: _Token) -> Predicate[T]:
    get = field.get
    if sign == ":" and token == _Token("word", "*", token.position):
        return lambda item: bool(get(item))
    if field.fold and (sign == ":" or field.words):
        words = search_words(token.text)
        # A text of punctuation alone holds nothing to look for, so nothing is found.
        return lambda item: (bool(words) and has_words(words, " ".join(get(item)))) is not (sign == "!=")
    wanted = fold(token.text) if field.fold else _plain(name, field.values, token.text)
    if sign == "!=":
        return lambda item: wanted not in get(item)
    return lambda item: wanted in get(item)


def _plain(name: str, values: frozenset[str] | None, text: str) -> str:
    """Give a value as the items have it: an enum's own spelling, else without capitals."""
    if values is None:
        return text.lower()
    for value in values:
        if value.lower() == text.lower():
            return value
    offered = ", ".join(sorted(values))
    raise Refusal(
        Reason.UNKNOWN_VALUE,
        f"{name} has no value {text!r}; give one of {offered}",
        field="filter",
        metadata={"value": text, "allowed": offered},
    )
