"""The words the commands show, in Vietnamese and English.

They stand in one table, `words.toml`, beside this module. Invariant: every key has both languages, and both take the
same values; the table is checked when it is loaded.
"""

import string
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


class Lang(StrEnum):
    """A language of the screens."""

    VI = "vi"
    EN = "en"


# Metadata of a refusal that holds a name in code, and the section of the table that words it.
_WORDED_METADATA = {
    "stage": "stage",
    "condition": "condition",
    "check": "check",
    "state": "check_state",
    "fault": "file_fault",
}


def word(key: str, lang: Lang, **values: object) -> str:
    """Give the text of `key` with `values` put in.

    Keys are `section.name`: `stage.INTEGRATED`, `event.service.integrated`, `screen.watch.following`.
    Raises KeyError for an unknown key, or for a value the text wants and was not given.
    """
    return _table()[key][lang].format(**values)


def keys() -> frozenset[str]:
    """List every key of the table."""
    return frozenset(_table())


def values_of(key: str) -> frozenset[str]:
    """Name the values that the text of `key` takes. Raises KeyError for an unknown key."""
    return _names(_table()[key][Lang.EN])


def reworded(section: str, english: str, lang: Lang) -> str:
    """Put a text that a service gives in English into the reader's language; one that no key of the section has stays."""
    known = (key for key in _table() if key.startswith(f"{section}.") and word(key, Lang.EN) == english)
    return next((word(key, lang) for key in known), english)


def word_error(reason: str, lang: Lang, metadata: Mapping[str, str] | None = None, field: str = "") -> str:
    """Word a refusal in a sentence: which field (when one is to blame), what is wrong, what helps.

    `reason` and `metadata` are those of the ErrorInfo, `field` the path of the BadRequest. Stages, conditions, checks
    and states in the metadata are worded and a resource name is cut to its id; other values (dates, times) are shown as
    given, so callers put them in the reader's form first.
    Raises KeyError for a reason this version does not know: show the status message then.
    """
    values = {name: _metadata_word(name, value, lang) for name, value in (metadata or {}).items()}
    # The more is told, the more the sentence says.
    told = (f"error_within.{reason}", f"error_detail.{reason}", f"error.{reason}")
    key = next((each for each in told if each in keys() and values_of(each) <= values.keys()), told[-1])
    what = word(key, lang, **{name: values[name] for name in values_of(key)})
    if not field:
        return what
    term = f"term.{field.rpartition('.')[2]}"
    return word("screen.common.field", lang, field=word(term, lang) if term in keys() else field, what=what)


def choose_lang(option: str | None, environ: Mapping[str, str]) -> Lang:
    """Choose the language to show: `--lang` if given, else the terminal's, else English.

    The terminal's is the first non-empty of LC_ALL, LC_MESSAGES and LANG, as POSIX orders them.
    Raises ValueError for an option other than `vi` and `en`, capitals ignored.
    """
    if option is not None:
        return Lang(option.strip().lower())
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := environ.get(name))), "")
    language = locale.partition(".")[0].partition("_")[0].partition("-")[0].lower()
    return Lang.VI if language == Lang.VI else Lang.EN


@cache
def _table() -> dict[str, dict[Lang, str]]:
    raw = tomllib.loads((files(__package__) / "words.toml").read_text(encoding="utf-8"))
    table: dict[str, dict[Lang, str]] = {}
    for key, texts in _leaves(raw, ""):
        match texts:
            case [str(vi), str(en)] if vi and en and _names(vi) == _names(en):
                table[key] = {Lang.VI: vi, Lang.EN: en}
            case _:
                raise ValueError(f"words.toml: {key} needs a Vietnamese and an English text with the same values")
    return table


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _names(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def _metadata_word(name: str, value: str, lang: Lang) -> str:
    if name in {"name", "programme"}:
        return value.rpartition("/")[2]
    key = f"{_WORDED_METADATA.get(name, '')}.{value}"
    return word(key, lang) if key in keys() else value
