"""The endpoint that gives figures as a file.

Invariant: the header says how long the file is before its first byte, and every byte is one that was made from one state.
"""

from collections.abc import AsyncIterator

from services.common.call import Call
from services.common.dates import PartialDate, vietnam_day
from services.common.endpoint import checked_instant
from services.common.errors import Reason, Refusal
from services.common.resources import parse_name
from services.common.words import Lang
from services.status import wire
from services.status.report import Desk, Format, ReportFile
from services.status.rpc.figures import Figures, value_of
from services.status.usecases import Question
from tiendo.common.v1 import date_pb2
from tiendo.status.v1 import report_pb2
from tiendo.status.v1 import status_service_pb2 as pb

_CHUNK_BYTES = 64 * 1024
_LANGUAGES = {
    report_pb2.REPORT_LANGUAGE_UNSPECIFIED: Lang.VI,
    report_pb2.REPORT_LANGUAGE_VIETNAMESE: Lang.VI,
    report_pb2.REPORT_LANGUAGE_ENGLISH: Lang.EN,
}


class Exports(Figures):
    """ExportReport."""

    desk: Desk
    """Set by the composition root."""

    async def export_report(
        self, request: pb.ExportReportRequest, call: Call
    ) -> AsyncIterator[pb.ExportReportResponse]:
        """Give the figures as a file, its header first."""
        state = await self.read(request.at_least, call)
        if not request.format:
            raise Refusal(Reason.MISSING_VALUE, "is empty; give XLSX, CSV or PDF", field="format")
        if request.language not in _LANGUAGES:
            raise Refusal(
                Reason.UNKNOWN_VALUE,
                f"{request.language} is not known to this version; give VIETNAMESE or ENGLISH",
                field="language",
                metadata={"value": str(request.language)},
            )
        question = Question(
            parse_name(request.programme, "programmes", "programme", default=self.default_programme),
            _date_in(request.as_of, "as_of"),
            checked_instant(request.known_at, "known_at") if request.HasField("known_at") else None,
            request.filter,
        )
        making = self.desk.file(
            state,
            question,
            value_of(Format, request.format, "format"),
            _LANGUAGES[request.language],
            today=vietnam_day(self.clock()),
            compare=_date_in(request.compare, "compare"),
        )
        async with making as made:
            yield pb.ExportReportResponse(header=_header(made))
            while content := made.content.read(_CHUNK_BYTES):
                yield pb.ExportReportResponse(chunk=content)


def _header(made: ReportFile) -> report_pb2.ReportHeader:
    return report_pb2.ReportHeader(
        file_name=made.file_name,
        media_type=made.media_type,
        size_bytes=made.size_bytes,
        revisions=made.report.revisions,
        as_of=wire.date_out(made.report.as_of),
        total=wire.counts_out(made.report.total),
    )


def _date_in(given: date_pb2.PartialDate, field: str) -> PartialDate | None:
    if not (given.year or given.month or given.day):
        return None
    return PartialDate.of(given.year, given.month, given.day, field=field)
