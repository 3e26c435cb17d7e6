"""How figures and dates look in each language.

Invariant: nothing here rounds in the plan's favour. A share below the whole is never shown as 100.
"""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.common.words import Lang, word

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")
NOTHING = "–"


def hundredths(completed: int, planned: int) -> int | None:
    """Give the share in hundredths of a per cent, rounded half up: 485 for 11 of 227; None where nothing is planned.

    10,000 is the whole, and only the whole. Raises ValueError unless 0 <= completed <= planned.
    """
    if not 0 <= completed <= planned:
        raise ValueError(f"completed must be 0 to {planned}, not {completed}")
    if planned == 0:
        return None
    return 10_000 if completed == planned else min((20_000 * completed + planned) // (2 * planned), 9_999)


def percent(completed: int, planned: int, lang: Lang) -> str:
    """Show `completed` of `planned` with two decimals, rounded half up: "4,85%" or "4.85 %".

    "–" stands where nothing is planned. The whole is "100%", and only the whole: just below it stands "99,99%".
    Raises ValueError unless 0 <= completed <= planned.
    """
    share = hundredths(completed, planned)
    if share is None:
        return NOTHING
    figure = "100" if share == 10_000 else f"{share // 100}.{share % 100:02d}"
    return f"{figure.replace('.', ',')}%" if lang is Lang.VI else f"{figure} %"


def number(value: int, lang: Lang) -> str:
    """Group a whole number by thousands: "1.234" or "1,234"."""
    grouped = f"{value:,}"
    return grouped.replace(",", ".") if lang is Lang.VI else grouped


def instant(moment: datetime, *, seconds: bool = False) -> str:
    """Show a moment in Vietnam time, dd/mm/yyyy HH:MM and :SS on request.

    Raises ValueError for one without a time zone.
    """
    if moment.utcoffset() is None:
        raise ValueError("an instant needs a time zone")
    local = moment.astimezone(VIETNAM)
    text = f"{day(local.date())} {local:%H:%M}"
    return f"{text}:{local:%S}" if seconds else text


def day(value: date) -> str:
    """Show a day, dd/mm/yyyy."""
    return partial_date(value.year, value.month, value.day)


def partial_date(year: int, month: int = 0, day_of_month: int = 0) -> str:
    """Show a date as precise as it is known: "2022", "09/2022", "05/10/2022"; "–" without a year.

    0 stands for a part that is not given.
    """
    if not year:
        return NOTHING
    parts = [f"{year:04d}"]
    if month:
        parts.insert(0, f"{month:02d}")
        if day_of_month:
            parts.insert(0, f"{day_of_month:02d}")
    return "/".join(parts)


def when(year: int, month: int, day_of_month: int, *, at_latest: bool, lang: Lang) -> str:
    """Say inside a sentence when something happened: "đến 09/2022", "by 09/2022", "on 05/10/2022".

    0 stands for a part that is not given; without a year it is "–".
    """
    text = partial_date(year, month, day_of_month)
    if not year:
        return text
    precision = "YEAR" if not month else "MONTH" if not day_of_month else "DAY"
    return word("when.AT_LATEST" if at_latest else f"when.{precision}", lang, date=text)


def slot_name(plan_number: int, lang: Lang) -> str:
    """Call a service that has no name yet by its number: "Mục số 12 (chưa có tên)"."""
    return word("naming.SLOT", lang, number=plan_number)
