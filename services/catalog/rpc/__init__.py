"""The catalog's endpoints: unpack, use case or state, pack.

Invariant: a read is answered from one state, and from bytes that are ready, so it never waits for the database.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import cached_property
from typing import Any

from google.protobuf.message import Message

from services.catalog import exporting, importing, usecases, wire
from services.catalog.rpc.choosing import fields, order_of, plan_number, rank
from services.catalog.storage import CatalogWork, ServiceEntry, State
from services.catalog.usecases import Done
from services.common.call import Call
from services.common.dates import vietnam_day
from services.common.endpoint import Endpoint
from services.common.envelope import chunk
from services.common.errors import Reason, Refusal
from services.common.filters import parse_filter
from services.common.listing import Order, Page, check_reply, fitting, page, query_hash
from services.common.resources import parse_name
from services.common.text import clean, fold, search_words
from tiendo.catalog.v1 import catalog_service_pb2 as pb

_DEFAULT_PAGE = 50
_MOST_A_PAGE = 1000
_EVERY = "programmes/-"


class Rpc(Endpoint[State, CatalogWork]):
    """tiendo.catalog.v1.CatalogService."""

    async def get_programme(self, request: pb.GetProgrammeRequest, call: Call) -> bytes:
        """One programme."""
        programme_id = parse_name(request.name, "programmes", default=self.default_programme)
        state = await self.read(request.at_least, call)
        entry = state.programmes.get(programme_id)
        if entry is None:
            raise usecases.programme_not_found(f"programmes/{programme_id}", "name")
        return chunk(1, entry.message) + self._tail(state, 2)

    async def list_programmes(self, request: pb.ListProgrammesRequest, call: Call) -> bytes:
        """Programmes by name."""
        state = await self.read(request.at_least, call)
        entries = [state.programmes[key] for key in sorted(state.programmes)]
        cut = page(
            [(entry.programme.id,) for entry in entries],
            page_size=request.page_size,
            page_token=request.page_token,
            query_hash=query_hash("programmes"),
            default_size=_DEFAULT_PAGE,
            max_size=_MOST_A_PAGE,
            size_of=lambda index: len(entries[index].message),
        )
        chunks = b"".join(chunk(1, entry.message) for entry in entries[cut.start : cut.stop])
        rest = pb.ListProgrammesResponse(next_page_token=cut.next_page_token, total_size=len(entries))
        return chunks + rest.SerializeToString() + self._tail(state, 4)

    async def create_programme(self, request: pb.CreateProgrammeRequest, call: Call) -> bytes:
        """Add a programme."""
        caller = call.caller(request)
        return await self._run(
            request,
            call,
            lambda work: usecases.create_programme(work, request.programme_id, request.programme, caller),
        )

    async def update_programme(self, request: pb.UpdateProgrammeRequest, call: Call) -> bytes:
        """Change a programme."""
        caller = call.caller(request)
        return await self._run(
            request,
            call,
            lambda work: usecases.update_programme(work, request.programme, request.update_mask.paths, caller),
        )

    async def get_service(self, request: pb.GetServiceRequest, call: Call) -> bytes:
        """One service, by id or alias."""
        name = parse_name(request.name, "services")
        state = await self.read(request.at_least, call)
        entry = state.find(name)
        if entry is None:
            raise usecases.service_not_found(request.name, "name")
        return entry.chunk + self._tail(state, 2)

    async def batch_get_services(self, request: pb.BatchGetServicesRequest, call: Call) -> bytes:
        """Several services from one state."""
        if not 1 <= len(request.names) <= _MOST_A_PAGE:
            raise Refusal(
                Reason.TOO_MANY if request.names else Reason.MISSING_VALUE,
                f"{len(request.names)} names; give 1 to {_MOST_A_PAGE}",
                field="names",
                metadata={"limit": str(_MOST_A_PAGE), "count": str(len(request.names))},
            )
        state = await self.read(request.at_least, call)
        chunks: list[bytes] = []
        for index, name in enumerate(request.names):
            entry = state.find(parse_name(name, "services", f"names[{index}]"))
            if entry is None:
                raise usecases.service_not_found(name, f"names[{index}]")
            chunks.append(entry.chunk)
        check_reply([len(content) for content in chunks], "names")
        return b"".join(chunks) + self._tail(state, 2)

    async def list_services(self, request: pb.ListServicesRequest, call: Call) -> bytes:
        """Services in pages."""
        state = await self.read(request.at_least, call)
        return self._kept(state, request, lambda: self._list(state, request))

    def _list(self, state: State, request: pb.ListServicesRequest) -> bytes:
        programme = self._programme(state, request.programme)
        order = order_of(request.order_by, programme)
        entries, keys = self._chosen(state, programme, order, request.filter)
        asked = query_hash("services", programme, request.filter, order.text)
        return self._page(state, entries, keys, request, asked, order.descending)

    def _chosen(
        self, state: State, programme: str, order: Order[ServiceEntry], filter_text: str
    ) -> tuple[list[ServiceEntry], list[tuple[Any, ...]]]:
        entries, keys = state.sorted(programme, order)
        if filter_text:
            matches = parse_filter(filter_text, fields(vietnam_day(self.clock())))
            found = [index for index, entry in enumerate(entries) if matches(entry)]
            entries, keys = [entries[index] for index in found], [keys[index] for index in found]
        return entries, keys

    async def export_services(self, request: pb.ExportServicesRequest, call: Call) -> AsyncGenerator[bytes, None]:
        """The services as a file."""
        kind = exporting.known_format(request.format)
        state = await self.read(request.at_least, call)
        programme = self._programme(state, request.programme)
        entries, _ = self._chosen(state, programme, order_of("", programme), request.filter)
        today, lang = vietnam_day(self.clock()), exporting.known_language(request.language)
        export = exporting.Export(state.programmes.get(programme), entries, lang, today)
        yield chunk(1, exporting.header(export, kind, self.revisions(state)))
        async with aclosing(exporting.pieces(export, kind)) as pieces:
            async for piece in pieces:
                yield chunk(2, piece)

    async def search_services(self, request: pb.SearchServicesRequest, call: Call) -> bytes:
        """Services that hold every word, best first."""
        state = await self.read(request.at_least, call)
        return self._kept(state, request, lambda: self._search(state, request))

    def _search(self, state: State, request: pb.SearchServicesRequest) -> bytes:
        query = clean(request.query, "query", limit=500, required=True)
        programme = self._programme(state, request.programme)
        words = search_words(query)
        phrase = fold(query)
        ranked = [
            ((rank(entry, query, phrase), plan_number(entry, programme), entry.service.id), entry)
            for entry in (state.members(programme) if words else [])
            if all(word in entry.haystack for word in words)
        ]
        ranked.sort(key=lambda pair: pair[0])
        entries: list[ServiceEntry] = [entry for _, entry in ranked]
        keys: list[tuple[Any, ...]] = [key for key, _ in ranked]
        return self._page(state, entries, keys, request, query_hash("search", programme, phrase), ())

    async def create_service(self, request: pb.CreateServiceRequest, call: Call) -> bytes:
        """Add a service."""
        caller = call.caller(request)
        return await self._run(
            request,
            call,
            lambda work: usecases.create_service(work, request.service_id, request.service, caller),
        )

    async def update_service(self, request: pb.UpdateServiceRequest, call: Call) -> bytes:
        """Change or name a service."""
        caller = call.caller(request)
        evidence = wire.evidence_in(request.evidence)
        return await self._run(
            request,
            call,
            lambda work: usecases.update_service(work, request.service, request.update_mask.paths, evidence, caller),
        )

    async def retire_service(self, request: pb.RetireServiceRequest, call: Call) -> bytes:
        """Record that the procedure was abolished."""
        caller = call.caller(request)
        date = wire.date_in(request.date, "date")
        return await self._run(
            request,
            call,
            lambda work: usecases.retire_service(
                work,
                request.name,
                date,
                request.reason,
                request.replaced_by,
                request.etag,
                caller,
            ),
        )

    def import_services(
        self, requests: AsyncIterator[pb.ImportServicesRequest], call: Call
    ) -> AsyncGenerator[bytes, None]:
        """Take a list from a file."""
        return self._imports.answer(requests, call)

    @cached_property
    def _imports(self) -> importing.Imports:
        return importing.Imports(self)

    async def _run(
        self,
        request: Any,
        call: Call,
        verb: Callable[[CatalogWork], Done],
    ) -> bytes:
        # Every command's response has the same fields: the resource and the revision.
        def decide(work: CatalogWork) -> bytes:
            done = verb(work)
            return chunk(1, done.message) + chunk(2, self.revision_of(done.place).encode())

        return await self.command(request, call, decide)

    def _tail(self, state: State, field: int) -> bytes:
        return b"".join(chunk(field, revision.encode()) for revision in self.revisions(state))

    def _programme(self, state: State, name: str) -> str:
        if name == _EVERY:
            return ""
        programme_id = parse_name(name, "programmes", "programme", default=self.default_programme)
        if programme_id not in state.programmes:
            raise usecases.programme_not_found(f"programmes/{programme_id}", "programme")
        return programme_id

    def _kept(self, state: State, request: Message, answer: Callable[[], bytes]) -> bytes:
        # The day counts because of agencies that held a service for a time.
        asked = (type(request), request.SerializeToString(), vietnam_day(self.clock()))
        return state.answers.get(asked, answer)

    def _page(
        self,
        state: State,
        entries: list[ServiceEntry],
        keys: list[tuple[Any, ...]],
        request: pb.ListServicesRequest | pb.SearchServicesRequest,
        asked: str,
        descending: tuple[bool, ...],
    ) -> bytes:
        def cut_to(size: int) -> Page:
            return page(
                keys,
                page_size=size,
                page_token=request.page_token,
                query_hash=asked,
                default_size=_DEFAULT_PAGE,
                max_size=_MOST_A_PAGE,
                descending=descending,
            )

        cut = cut_to(request.page_size)
        chunks = [entry.chunk for entry in entries[cut.start : cut.stop]]
        fit = fitting(map(len, chunks))
        if fit < len(chunks):
            cut, chunks = cut_to(fit), chunks[:fit]
        rest = pb.ListServicesResponse(next_page_token=cut.next_page_token, total_size=len(entries))
        return b"".join(chunks) + rest.SerializeToString() + self._tail(state, 4)
