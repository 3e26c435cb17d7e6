"""The report of an import: a result for each row, and the counts.

Invariant: every row of the file that is not blank has one result, in the file's order, and the counts are those of the results.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from heapq import merge

from services.catalog.domain import Agency, Membership, OnlineLevel, ProcedureCode, Service, new_service
from services.catalog.importing.matching import Decision, Outcome
from services.catalog.importing.merging import differences
from services.catalog.importing.receiving import Source
from services.common.envelope import chunk
from services.common.errors import Reason, Refusal
from services.common.spool import Spool
from tiendo.catalog.v1 import catalog_service_pb2 as pb
from tiendo.catalog.v1 import import_pb2
from tiendo.common.v1 import error_reason_pb2

_BATCH_BYTES = 64 * 1024
_KEPT_BYTES = 1024 * 1024


class Report:
    """What is told of a list, as its rows are decided; the rows of a long one are kept in a file."""

    def __init__(self, source: Source) -> None:
        self.revision = ""
        """The journal's, once the list is applied."""
        self.counts = Counter[Outcome]()
        self._source = source
        self._batches = Spool[bytes]()
        self._batch = bytearray()

    @property
    def is_rejected(self) -> bool:
        """Whether a row is, so that nothing of the list may be kept."""
        return bool(self.counts[Outcome.REJECTED])

    def told(self, decisions: Iterable[Decision]) -> Iterator[Decision]:
        """Pass the decisions on, and note each; the rows that are no entries come between them, in the file's order."""
        skipped = (Decision(each.number, Outcome.SKIPPED, text=each.text) for each in self._source.skipped)
        for decision in merge(decisions, skipped, key=lambda decision: decision.row):
            self._note(decision)
            yield decision
        if self._batch:
            self._end_batch()

    def _note(self, decision: Decision) -> None:
        self.counts[decision.outcome] += 1
        result = chunk(1, _result(decision).SerializeToString())
        if self._batch and len(self._batch) + len(result) > _BATCH_BYTES:
            self._end_batch()
        self._batch += result

    def _end_batch(self) -> None:
        self._batches.append(chunk(2, bytes(self._batch)))
        self._batch.clear()

    def parts(self) -> Iterator[bytes]:
        """Give the report's messages: rows in batches, then the summary."""
        yield from self._batches
        yield _summary(self.counts, self._source, self.revision).SerializeToString()

    def kept(self) -> bytes:
        """Give what is kept for a request_id: the report, or its summary alone where the rows are too many."""
        kept = b""
        for part in self.parts():
            kept += chunk(1, part)
            if len(kept) > _KEPT_BYTES:
                last = _summary(self.counts, self._source, self.revision)
                last.summary.rows_left_out = True
                return chunk(1, last.SerializeToString())
        return kept


class RejectedError(Refusal):
    """Ends the transaction of a list of which a row was rejected."""

    def __init__(self, report: Report) -> None:
        super().__init__(Reason.NOT_CONFIRMED, "a row is rejected, so nothing is applied")
        self.report = report


def _summary(counts: Mapping[Outcome, int], source: Source, revision: str) -> pb.ImportServicesResponse:
    summary = import_pb2.ImportSummary(
        format=source.sheet.form,
        sheet=source.sheet.name,
        header_row=source.columns.header_row,
        digest=source.digest,
        columns=[
            import_pb2.ColumnUse(heading=heading, field=field)
            for field, (_, heading) in sorted(source.columns.used.items(), key=lambda pair: pair[1])
        ],
        unused_columns=source.columns.unused,
        created=counts[Outcome.CREATED],
        named=counts[Outcome.NAMED],
        changed=counts[Outcome.CHANGED],
        unchanged=counts[Outcome.UNCHANGED],
        rejected=counts[Outcome.REJECTED],
        skipped=counts[Outcome.SKIPPED],
        applied=bool(revision),
        revision=revision,
    )
    return pb.ImportServicesResponse(summary=summary)


def _result(decision: Decision) -> import_pb2.RowResult:
    after = decision.after
    return import_pb2.RowResult(
        row=decision.row,
        outcome=int(decision.outcome),  # type: ignore[arg-type]
        service=f"services/{after.id}" if after else "",
        display_name=after.display_name if after else decision.text,
        changes=_changes(decision),
        problems=[_problem(refusal, decision.row) for refusal in decision.problems],
        suggestion=f"services/{decision.suggestion}" if decision.suggestion else "",
    )


def _changes(decision: Decision) -> list[import_pb2.FieldChange]:
    after = decision.after
    if after is None or decision.outcome is Outcome.UNCHANGED:
        return []
    before = decision.before or new_service(after.id, after.create_time, "")
    return [
        import_pb2.FieldChange(field=name, before=_words(before, name), after=_words(after, name))
        for name in differences(before, after)
    ]


def _words(service: Service, field: str) -> str:
    value = getattr(service, field)
    return value if isinstance(value, str) else "; ".join(map(_word, value))


def _word(value: object) -> str:
    match value:
        case ProcedureCode():
            return value.code
        case Agency():
            return value.agency
        case OnlineLevel():
            return value.level
        case Membership():
            return f"programmes/{value.programme} {value.plan_number}"
        case _:
            return str(value)


def _problem(refusal: Refusal, row: int) -> import_pb2.RowProblem:
    cell = refusal.fields[0] if refusal.fields else str(row)
    return import_pb2.RowProblem(
        reason=error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{refusal.reason}"),
        cell=cell,
        message=refusal.message.removeprefix(f"{cell}: "),
        metadata=refusal.metadata,
    )
