"""Routes, headers and error pages.

Invariant: every answer carries the security headers, and no reader sees the text of an exception.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import PurePath
from typing import Any

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.dates import parse_date
from services.common.db import described, may_pass
from services.common.durations import RequestDurations
from services.common.errors import Kind, Reason, Refusal
from services.common.words import word_error
from services.status import charts
from services.status.charts import DrawingError
from services.status.report import Format
from services.status.usecases import Question
from services.status.web import asked, pages, stream
from services.status.web.asked import Asked
from services.status.web.desk import Desk
from services.status.web.wording import Words

log = structlog.get_logger("web")

_CODES = {
    Kind.INVALID_ARGUMENT: 400,
    Kind.OUT_OF_RANGE: 400,
    Kind.FAILED_PRECONDITION: 400,
    Kind.NOT_FOUND: 404,
    Kind.UNAVAILABLE: 503,
    Kind.RESOURCE_EXHAUSTED: 503,
}
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".pdf": "application/pdf",
}
_YEAR_SECONDS = 365 * 24 * 3600

Show = Callable[[Desk, Asked, Words], Awaitable[dict[str, Any]]]


class Assets:
    """The static files, each under a name that holds its content's hash, so that it may be kept for ever."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._contents: dict[str, bytes] = {}
        for file in (files("services.status.web") / "static").iterdir():
            content, name = file.read_bytes(), PurePath(file.name)
            public = f"{name.stem}.{hashlib.sha256(content).hexdigest()[:12]}{name.suffix}"
            self._names[file.name], self._contents[public] = f"/static/{public}", content

    def address(self, name: str) -> str:
        """Give the address of a file. Raises KeyError."""
        return self._names[name]

    async def show(self, request: Request) -> Response:
        """Answer with a file."""
        name = request.path_params["name"]
        content = self._contents.get(name)
        if content is None:
            raise HTTPException(404)
        headers = {"cache-control": f"public, max-age={_YEAR_SECONDS}, immutable"}
        return Response(content, media_type=_TYPES[PurePath(name).suffix], headers=headers)


class Pages:
    """Makes answers of templates."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.assets = desk, Assets()
        self.environment = Environment(
            loader=PackageLoader("services.status.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals["asset"] = self.assets.address
        # Nobody's first page is to wait for it.
        for name in self.environment.list_templates(extensions=["html"]):
            self.environment.get_template(name)

    def endpoint(self, template: str, show: Show) -> Callable[[Request], Awaitable[Response]]:
        """Give the endpoint of a page."""

        async def answer(request: Request) -> Response:
            question = asked.read(request, self.desk.default_programme)
            words = Words(question.lang)
            values = await show(self.desk, question, words)
            return await self.render(template, question, words, values)

        return self.guarded(answer)

    def guarded(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Answer with an error page where `answer` refuses or fails."""

        async def guard(request: Request) -> Response:
            try:
                return await answer(request)
            except Refusal as refusal:
                return await self.refused(request, refusal)
            except HTTPException:
                raise
            except Exception as failure:
                if may_pass(failure):
                    log.error("database unavailable", path=request.url.path, **described(failure))  # noqa: TRY400 (says what it needs to)
                    return await self.refused(request, Refusal(Reason.DATABASE_UNAVAILABLE, "is away"))
                incident = secrets.token_hex(4)
                log.exception("fault", path=request.url.path, incident=incident)
                return await self.refused(request, Refusal(Reason.INTERNAL, "", metadata={"incident": incident}))

        return guard

    async def render(
        self, template: str, question: Asked, words: Words, values: dict[str, Any], code: int = 200
    ) -> Response:
        """Answer with a page."""
        # Only a page in good order says how many want attention: an error page asks nothing more.
        frame = await pages.frame(self.desk, question) if code == 200 else {"programme": None, "wanting": None}
        html = self.environment.get_template(template).render(w=words, ask=question, **frame, **values)
        response = HTMLResponse(html, status_code=code, headers={"vary": "Cookie, Accept-Language"})
        if question.get("lang") == question.lang:
            response.set_cookie(asked.COOKIE, question.lang, max_age=_YEAR_SECONDS, samesite="lax", httponly=True)
        return response

    async def refused(self, request: Request, refusal: Refusal) -> Response:
        """Answer with what was refused, in the reader's words."""
        code = _CODES.get(refusal.kind, 500)
        return await self.error(request, code, _worded(request, refusal))

    async def not_found(self, request: Request, failure: Exception) -> Response:
        """Answer to an address that is none, or to a method that is none."""
        code = failure.status_code if isinstance(failure, HTTPException) else 500
        key = "page.no_page" if code == 404 else "page.only_reading"
        response = await self.error(request, code, Words(asked.lang_of(request))(key))
        response.headers.update(getattr(failure, "headers", None) or {})
        return response

    async def error(self, request: Request, code: int, text: str) -> Response:
        """Answer with an error page."""
        lang = asked.lang_of(request)
        question = Asked(lang, request.url.path, tuple(request.query_params.multi_items()), "", None, None)
        words = Words(lang)
        values = {"code": code, "title": words(f"page.error_{code if code in {400, 404, 503} else 500}"), "text": text}
        return await self.render("error.html", question, words, values, code)


def _worded(request: Request, refusal: Refusal) -> str:
    words = Words(asked.lang_of(request))
    field = refusal.fields[0] if refusal.fields else ""
    given = request.query_params.get(field.partition(".")[0], "")
    wrong = {Reason.INVALID_DATE: "screen.common.wrong_date", Reason.INVALID_TIME: "screen.common.wrong_time"}
    if given and refusal.reason in wrong:
        what = words(wrong[refusal.reason], text=given[:100])
        return words("screen.common.field", field=words(f"page.{field.partition('.')[0]}"), what=what)
    if refusal.reason is Reason.SERVICE_NOT_FOUND:
        return words("page.no_service", name=refusal.metadata["name"])
    return word_error(refusal.reason, words.lang, refusal.metadata, field)


class _Edge:
    """Adds the headers to every answer, logs it and measures it like a call."""

    def __init__(self, app: Starlette, requests: RequestDurations) -> None:
        self._app, self._requests = app, requests
        self._paths = {route.endpoint: route.path for route in app.routes if isinstance(route, Route)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun, code = time.perf_counter(), 0

        async def send_on(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        finally:
            seconds = time.perf_counter() - begun
            if code:
                endpoint = scope.get("endpoint")
                route = self._paths[endpoint] if endpoint else ""
                self._requests.record(scope["method"], route, code, seconds)
            log.debug("page", path=scope["path"], code=code, ms=round(1000 * seconds, 1))


def build_app(desk: Desk, requests: RequestDurations) -> ASGIApp:
    """Wire the pages; how long each took is told to `requests`."""
    site = Pages(desk)
    streams = stream.Streams(desk, site.environment)
    routes = [
        Route("/", site.endpoint("overview.html", pages.overview)),
        Route("/services", site.endpoint("services.html", pages.services)),
        Route("/services/{service_id}", site.guarded(_service(site))),
        Route("/live", site.endpoint("live.html", pages.live)),
        Route("/live/events", site.guarded(streams.events)),
        Route("/changes", site.guarded(streams.changes)),
        Route("/attention", site.endpoint("attention.html", pages.attention)),
        *(Route(f"/report.{kind.name.lower()}", site.guarded(_report(desk, kind))) for kind in Format),
        *(Route(f"/burn-up.{kind}", site.guarded(_burn_up(site, kind))) for kind in charts.Format),
        Route("/static/{name}", site.assets.show),
    ]
    return _Edge(Starlette(routes=routes, exception_handlers={HTTPException: site.not_found}), requests)


def _report(desk: Desk, format: Format) -> Callable[[Request], Awaitable[Response]]:  # noqa: A002 (report's word)
    async def answer(request: Request) -> Response:
        ask = asked.read(request, desk.default_programme)
        compare = parse_date(ask.get("compare"), "compare") if ask.get("compare") else None
        question = Question(ask.programme, ask.as_of, ask.known_at)
        making = desk.reports.file(desk.live.current, question, format, ask.lang, today=desk.today(), compare=compare)
        async with making as made:
            content = await asyncio.to_thread(made.content.read)
        # A workbook is kept, a page to sign is looked at first.
        kind = "inline" if format is Format.PDF else "attachment"
        headers = {"content-disposition": f'{kind}; filename="{made.file_name}"'}
        return Response(content, media_type=made.media_type, headers=headers)

    return answer


def _burn_up(site: Pages, format: charts.Format) -> Callable[[Request], Awaitable[Response]]:  # noqa: A002 (as above)
    async def answer(request: Request) -> Response:
        ask = asked.read(request, site.desk.default_programme)
        words = Words(ask.lang)
        try:
            content = await pages.drawing(site.desk, ask, words, format)
        except DrawingError as failure:
            log.warning("no chart", reason=str(failure))
            return await site.error(request, 503, words("page.chart_not_drawn"))
        # Kept by the browser, which asks whether it is still the same.
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        headers = {"etag": tag, "cache-control": "private, no-cache", "vary": "Cookie, Accept-Language"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=_TYPES[f".{format}"], headers=headers)

    return answer


def _service(site: Pages) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        question = asked.read(request, site.desk.default_programme)
        words = Words(question.lang)
        values = await pages.service(site.desk, question, words, request.path_params["service_id"])
        return await site.render("service.html", question, words, values)

    return answer
