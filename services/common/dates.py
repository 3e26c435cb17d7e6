"""Dates as precise as they are known, and Vietnam time.

Invariant: a date never gains precision. "2022-09" stays a month; a day is taken from it only by asking for its first
or last one.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal, Protocol, Self
from zoneinfo import ZoneInfo

from services.common.errors import Reason, Refusal

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")

_START = datetime(1970, 1, 1, tzinfo=UTC)

Lang = Literal["vi", "en"]
Day = date
"""A whole day; the name is free where a field is called `date`."""

_SLASHED = re.compile(r"(?:(?:([0-9]{1,2})/)?([0-9]{1,2})/)?([0-9]{4})")
_ISO = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")


class Timestamp(Protocol):
    """A message's timestamp, whose parts are written here without knowing the library."""

    seconds: int
    nanos: int


def write_instant(timestamp: Timestamp, moment: datetime) -> None:
    """Set a message's timestamp to an aware instant; protobuf's own conversion takes ten times as long."""
    elapsed = moment - _START
    timestamp.seconds = elapsed.days * 86_400 + elapsed.seconds
    timestamp.nanos = elapsed.microseconds * 1000


def _fault(year: int, month: int, day: int) -> tuple[str, str] | None:
    """Tell what is wrong with these parts: the part's name and the words for it, or None."""
    if not 1 <= year <= 9999:
        return "year", f"{year} is not a year; give one from 1 to 9999"
    if not 0 <= month <= 12:
        return "month", f"{month} is not a month; give one from 1 to 12, or leave it out"
    if day and not month:
        return "month", "a day was given without its month; give the month too, or leave the day out"
    if not 0 <= day <= 31:
        return "day", f"{day} is not a day; give a day of that month, or leave it out"
    if day and day > calendar.monthrange(year, month)[1]:
        return "day", f"{day:02}/{month:02}/{year:04} does not exist; give a day of that month"
    return None


@dataclass(frozen=True, slots=True)
class PartialDate:
    """A year, a month of a year, or a day; a part of 0 is not known.

    Two such dates have no order of their own: compare `last_day()` or `first_day()`, and say which by doing so.
    Raises Refusal INVALID_DATE where no such date exists or a day is given without its month.
    """

    year: int
    month: int = 0
    day: int = 0

    def __post_init__(self) -> None:
        _check(self.year, self.month, self.day, "date")

    @classmethod
    def of(cls, year: int, month: int = 0, day: int = 0, field: str = "date") -> Self:
        """Give the date, with faults named by the request's own field path (`effective_date.date.month`)."""
        _check(year, month, day, field)
        return cls(year, month, day)

    @classmethod
    def of_day(cls, day: date) -> Self:
        """Give the one day, with day precision."""
        return cls(day.year, day.month, day.day)

    @classmethod
    def from_iso(cls, text: str, field: str = "date") -> Self:
        """Read back `iso()`; raises Refusal INVALID_DATE for any other form."""
        found = _ISO.fullmatch(text)
        if not found:
            raise Refusal(Reason.INVALID_DATE, "is not a date; write 2022-10-05, 2022-10 or 2022", field=field)
        return cls(*_parts_of_text(found[1], found[2], found[3], field))

    @property
    def precision(self) -> Literal["year", "month", "day"]:
        """The smallest part that is known."""
        return "day" if self.day else "month" if self.month else "year"

    def first_day(self) -> date:
        """Give the first day of the period."""
        return date(self.year, self.month or 1, self.day or 1)

    def last_day(self) -> date:
        """Give the last day of the period."""
        month = self.month or 12
        return date(self.year, month, self.day or calendar.monthrange(self.year, month)[1])

    def show(self) -> str:
        """For screens, in both languages: `05/10/2022`, `10/2022` or `2022`."""
        return "/".join([f"{part:02}" for part in (self.day, self.month) if part] + [f"{self.year:04}"])

    def iso(self) -> str:
        """For storage and commands: `2022-10-05`, `2022-10` or `2022`."""
        return "-".join([f"{self.year:04}"] + [f"{part:02}" for part in (self.month, self.day) if part])


def _check(year: int, month: int, day: int, field: str) -> None:
    if fault := _fault(year, month, day):
        raise Refusal(Reason.INVALID_DATE, fault[1], field=f"{field}.{fault[0]}")


def _parts_of_text(year: str, month: str | None, day: str | None, field: str) -> tuple[int, int, int]:
    """Give the parts as numbers; a text is one field, so faults name it and not a part of it."""
    # A part that was written must count: "00/2022" is a mistake, not the year 2022.
    numbers = int(year), -1 if month is not None and not int(month) else int(month or 0), int(day or 0)
    fault = _fault(*numbers)
    if fault or (day is not None and not numbers[2]):
        shown = "/".join(part for part in (day, month, year) if part is not None)
        raise Refusal(Reason.INVALID_DATE, f"{shown} does not exist; give a date that does", field=field)
    return numbers


def parse_date(text: str, field: str = "date") -> PartialDate:
    """Read a date as people type it; with slashes the day comes first, in both languages.

    Accepts 05/10/2022, 5/10/2022, 2022-10-05, 10/2022, 2022-10 and 2022. Raises Refusal INVALID_DATE.
    """
    typed = text.strip()
    if found := _SLASHED.fullmatch(typed):
        return PartialDate(*_parts_of_text(found[3], found[2], found[1], field))
    if found := _ISO.fullmatch(typed):
        return PartialDate(*_parts_of_text(found[1], found[2], found[3], field))
    accepted = "05/10/2022 (day first), 2022-10-05, 10/2022, 2022-10 or 2022"
    raise Refusal(Reason.INVALID_DATE, f"is not a date; write {accepted}", field=field)


@dataclass(frozen=True, slots=True)
class EffectiveDate:
    """When something happened: on `date`, or at the latest on it."""

    date: PartialDate
    at_latest: bool = False

    def possible_from(self, programme_start: Day | None) -> Day:
        """Give the first day on which it may have happened; `at_latest` reaches back to the programme's start.

        Without a programme start nothing bounds an `at_latest` date from below: date.min.
        """
        first = self.date.first_day()
        if not self.at_latest:
            return first
        return min(programme_start, first) if programme_start else Day.min

    def certain_from(self, recorded: datetime) -> Day:
        """Give the day it surely had happened by: the period's last, or the Vietnam day of recording if earlier."""
        return min(self.date.last_day(), vietnam_day(recorded))

    def show(self, lang: Lang) -> str:
        """For screens: `05/10/2022`; `đến 09/2022` or `by 09/2022` where it is the latest date."""
        if not self.at_latest:
            return self.date.show()
        return f"{'đến' if lang == 'vi' else 'by'} {self.date.show()}"


def check_not_future(effective: EffectiveDate, today: date, field: str) -> None:
    """Raise Refusal DATE_IN_FUTURE when even the first day of the date lies after `today`, a Vietnam day."""
    if effective.date.first_day() > today:
        raise Refusal(
            Reason.DATE_IN_FUTURE,
            f"{effective.date.show()} lies after today, {today:%d/%m}/{today.year:04}; give the date it happened",
            field=field,
            metadata={"today": today.isoformat()},
        )


def utc(instant: datetime) -> datetime:
    """Give the same instant in UTC. Raises ValueError for a naive datetime, which names no instant."""
    if instant.utcoffset() is None:
        raise ValueError("a naive datetime names no instant")
    return instant.astimezone(UTC)


def vietnam_day(instant: datetime) -> date:
    """Give the day it was in Vietnam at that instant. Raises ValueError for a naive datetime."""
    try:
        return utc(instant).astimezone(VIETNAM).date()
    except OverflowError:
        return date.max  # the last hours of 9999 in UTC are the year 10000 in Vietnam


def iso_instant(instant: datetime) -> str:
    """UTC with six decimals, `2022-10-05T00:00:00.000000Z`: the order of such texts is the order of time."""
    return utc(instant).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
