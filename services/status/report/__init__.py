"""Reports as files: a workbook, the services line by line, a page to sign.

For pages: `Desk.file(...)` gives a `ReportFile` made in a thread, few at a time; `make(...)` makes one where it is called.

Invariant: a file holds what one state says and nothing else, so the same question to the same state gives the same bytes.
"""

from services.status.report.content import AbandonedError, Report, cite_documents, gather
from services.status.report.desk import Desk
from services.status.report.making import Format, ReportFile, make

__all__ = ["AbandonedError", "Desk", "Format", "Report", "ReportFile", "cite_documents", "gather", "make"]
