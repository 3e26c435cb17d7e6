"""What the address of a page asks for: language, day, moment, programme.

Invariant: what cannot be read is refused by the name it has in the address; nothing mistyped is ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from urllib.parse import urlencode

from starlette.requests import Request

from services.common.dates import VIETNAM, PartialDate, parse_date
from services.common.errors import Reason, Refusal
from services.common.words import Lang

COOKIE = "lang"
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """One reader's question. `carried` is what every link of the page takes along."""

    lang: Lang
    path: str
    query: tuple[tuple[str, str], ...]
    programme: str
    as_of: PartialDate | None
    known_at: datetime | None

    @property
    def carried(self) -> dict[str, str]:
        """The parts of the address that hold on other pages too."""
        return {name: value for name, value in self.query if name in {"as_of", "known_at", "programme"} and value}

    def get(self, name: str) -> str:
        """Give a part of the address; of several the last, "" for none."""
        return dict(self.query).get(name, "").strip()

    def link(self, path: str = "", **changes: str) -> str:
        """Give an address: this page's with some parts changed, or another page's with what is carried along."""
        parts = dict(self.carried if path else {name: value for name, value in self.query if value and name != "lang"})
        parts |= changes
        given = urlencode({name: value for name, value in parts.items() if value})
        return f"{path or self.path}{'?' + given if given else ''}"


def choose_lang(query: str, cookie: str, accepted: str) -> Lang:
    """Choose the language: what the switch says, else what it said before, else the browser's, else Vietnamese."""
    for given in (query, cookie):
        if given.strip().lower() in set(Lang):
            return Lang(given.strip().lower())
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accepted.split(",")):
        name, _, quality = part.strip().partition(";q=")
        try:
            ranked.append((-float(quality or 1), place, name.partition("-")[0].lower()))
        except ValueError:
            continue
    return next((Lang(name) for _, _, name in sorted(ranked) if name in set(Lang)), Lang.VI)


def lang_of(request: Request) -> Lang:
    """Choose the language of a page."""
    accepted = request.headers.get("accept-language", "")
    return choose_lang(request.query_params.get("lang", ""), request.cookies.get(COOKIE, ""), accepted)


def parse_known_at(text: str) -> datetime:
    """Read an instant; without an offset it is Vietnam time, and a date alone means its end. Raises Refusal INVALID_TIME."""
    try:
        return datetime.combine(parse_date(text, "known_at").last_day(), time.max, VIETNAM)
    except Refusal:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(
            Reason.INVALID_TIME, "is not a moment; write 2022-10-05T08:30:00+07:00 or a date", field="known_at"
        ) from None
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=VIETNAM)


def read(request: Request, default_programme: str) -> Asked:
    """Read a request. Raises Refusal naming the part of the address."""
    query = tuple((name, value) for name, value in request.query_params.multi_items())
    for name, value in query:
        if len(value) > _LONGEST:
            raise Refusal(
                Reason.TEXT_TOO_LONG,
                f"has {len(value)} characters; give at most {_LONGEST}",
                field=name,
                metadata={"limit": str(_LONGEST), "length": str(len(value))},
            )
    given: Mapping[str, str] = {name: value.strip() for name, value in query}
    as_of = parse_date(given["as_of"], "as_of") if given.get("as_of") else None
    known_at = parse_known_at(given["known_at"]) if given.get("known_at") else None
    programme = given.get("programme") or default_programme
    return Asked(lang_of(request), request.url.path, query, programme, as_of, known_at)
