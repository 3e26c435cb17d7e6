"""Makes one report into one file.

Invariant: nothing is left behind but the file that is given, and that is gone once it is closed.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import IO

from services.common.dates import PartialDate
from services.common.words import Lang
from services.status.report.content import Report, gather
from services.status.report.csv_file import write_csv
from services.status.report.paper import paper
from services.status.report.workbook import write_workbook
from services.status.storage import State
from services.status.usecases import Question

_IN_MEMORY_BYTES = 1024 * 1024


class Format(IntEnum):
    """What file to make; the numbers are those of tiendo.status.v1.ReportFormat."""

    XLSX = 1
    CSV = 2
    PDF = 3


MEDIA_TYPES = {
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.CSV: "text/csv; charset=utf-8",
    Format.PDF: "application/pdf",
}


@dataclass(frozen=True)
class ReportFile:
    """A report that was made. `content` is at its beginning, and the reader's to close."""

    report: Report
    file_name: str
    media_type: str
    size_bytes: int
    content: IO[bytes]


def make(
    state: State,
    question: Question,
    format: Format,  # noqa: A002 (the contract's word)
    lang: Lang,
    *,
    today: date,
    compare: PartialDate | None = None,
    halted: Callable[[], bool] = lambda: False,
) -> ReportFile:
    """Make a report of what the state says; without a day it is as of the latest report.

    `compare` is an earlier day, `halted` tells that nobody waits any more. Takes about a minute for 100,000 services, so
    call it in a thread. Raises AbandonedError, and Refusal as `usecases.completion` does, or INVALID_DATE for `compare`.
    """
    report = gather(state, question, compare, today)
    content: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115
    try:
        match format:
            case Format.XLSX:
                with tempfile.TemporaryDirectory(prefix="tiendo-report-") as folder:
                    write_workbook(report, lang, content, folder, halted)
            case Format.CSV:
                write_csv(report, lang, content, halted)
            case Format.PDF:
                content.write(paper(report, lang))
        size_bytes = content.tell()
        content.seek(0)
    except BaseException:
        content.close()
        raise
    name = f"{report.programme_id}-{report.as_of.iso()}.{format.name.lower()}"
    return ReportFile(report, name, MEDIA_TYPES[format], size_bytes, content)
