"""Log lines are one JSON object each for machines, plain for people, and name the service."""

import json
import subprocess
import sys
from typing import Any

import pytest

_PREPARED = """
import asyncio, logging, sys, threading
import structlog
from services.common.log import configure, requested, traced
configure("catalog", sys.argv[1], sys.argv[2])
log = structlog.get_logger("test")
"""


def logged(script: str, log_format: str = "json", level: str = "info") -> list[str]:
    """The lines a process writes to standard error."""
    command = [sys.executable, "-c", _PREPARED + script, log_format, level]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == ""
    return done.stderr.splitlines()


def parsed(lines: list[str]) -> list[dict[str, Any]]:
    """JSON lines, read."""
    return [json.loads(line) for line in lines]


def test_lines_for_machines() -> None:
    """One JSON object a line with level, time in UTC, service and Vietnamese as it is, whatever line breaks are in it."""
    (line,) = logged('log.info("advanced", name="Cấp lại căn cước", text="one\\ntwo")')

    read = json.loads(line)
    assert "Cấp lại căn cước" in line
    assert read["timestamp"].endswith("Z")
    assert {key: read[key] for key in ("event", "level", "service", "text")} == {
        "event": "advanced",
        "level": "info",
        "service": "catalog",
        "text": "one\ntwo",
    }


def test_auto_is_for_machines_where_there_is_no_terminal() -> None:
    """Into a pipe, "auto" writes JSON; "console" writes for people."""
    assert parsed(logged('log.info("x")', "auto"))[0]["event"] == "x"
    assert not logged('log.info("x")', "console")[0].startswith("{")


def test_a_stack_is_part_of_its_line() -> None:
    """A logged exception is one line too, with its stack inside, and without the values that stood there."""
    (line,) = logged('name = "Nguyễn"\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception("fault")')

    read = json.loads(line)
    assert read["level"] == "error"
    assert "ZeroDivisionError" in json.dumps(read["exception"])
    assert "Nguyễn" not in line


@pytest.mark.parametrize(("level", "told"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_kept(level: str, told: int) -> None:
    """Lines below the level are left out."""
    assert len(logged('log.debug("a"); log.info("b"); log.warning("c"); log.error("d")', "json", level)) == told


def test_threads_name_the_service_too() -> None:
    """A line of another thread, such as the writer's, names the service as well."""
    script = 'thread = threading.Thread(target=lambda: log.info("x")); thread.start(); thread.join()'

    assert [line["service"] for line in parsed(logged(script))] == ["catalog"]


def test_the_ids_of_a_call_stay_with_it() -> None:
    """Of 100 tasks at once, each line has the trace and request ids of its own task, and a line outside has none."""
    lines = parsed(
        logged(
            """
async def task(number):
    traced.set(f"00-{number + 1:032x}-{number + 1:016x}-00")
    requested.set(f"request-{number}")
    await asyncio.sleep(0)
    log.info("done", number=number)

async def main():
    await asyncio.gather(*(task(number) for number in range(100)))
    log.info("after")

asyncio.run(main())
"""
        )
    )

    assert [line["request_id"] for line in lines[:-1]] == [f"request-{line['number']}" for line in lines[:-1]]
    assert [int(line["trace_id"], 16) for line in lines[:-1]] == [line["number"] + 1 for line in lines[:-1]]
    assert [int(line["span_id"], 16) for line in lines[:-1]] == [line["number"] + 1 for line in lines[:-1]]
    assert len(lines) == 101
    assert not {"trace_id", "span_id", "request_id"} & set(lines[-1])


def test_what_is_no_trace_context_is_not_logged_as_one() -> None:
    """A caller's header that is none leaves the line without trace ids, and the line is written."""
    (line,) = parsed(logged('traced.set("hello-from-a-stranger"); log.info("x")'))

    assert "trace_id" not in line
    assert line["event"] == "x"


def test_libraries_are_quiet() -> None:
    """Of grpc and nats only errors are told, of others warnings."""
    lines = logged(
        'logging.getLogger("grpc").warning("a"); logging.getLogger("nats").error("b"); '
        'logging.getLogger("x").info("c"); logging.getLogger("x").warning("d")'
    )

    assert [line["event"] for line in parsed(lines)] == ["b", "d"]


@pytest.mark.parametrize("library", ["nats", "grpc", "alembic.runtime", "opentelemetry.exporter.otlp", "asyncio"])
def test_libraries_speak_as_we_do(library: str) -> None:
    """An error that a library logs is one JSON line that names it, the service, level, time and call, its stack inside."""
    script = """
traced.set(f"00-{7:032x}-{8:016x}-00")
try:
    value = "Nguyễn"
    1 / 0
except ZeroDivisionError:
    logging.getLogger("LIBRARY").error("gave up\\nafter %d s: %s", 5, "hỏng", exc_info=True)
"""
    (line,) = logged(script.replace("LIBRARY", library))

    read = json.loads(line)
    assert {key: read[key] for key in ("event", "logger", "level", "service", "trace_id")} == {
        "event": "gave up\nafter 5 s: hỏng",
        "logger": library,
        "level": "error",
        "service": "catalog",
        "trace_id": f"{7:032x}",
    }
    assert read["timestamp"].endswith("Z")
    assert "ZeroDivisionError" in json.dumps(read["exception"])
    assert "Nguyễn" not in line


def test_a_warning_of_python_is_a_line_too() -> None:
    """What `warnings.warn` says is one JSON line."""
    (line,) = parsed(logged('import warnings; warnings.warn("old")'))

    assert (line["level"], line["service"], line["logger"]) == ("warning", "catalog", "py.warnings")
    assert "old" in line["event"]


def test_people_read_libraries_as_lines_for_people() -> None:
    """On a terminal a library's line looks like ours."""
    ours, theirs = logged('log.error("one"); logging.getLogger("nats").error("two")', "console")

    assert not theirs.startswith("{")
    assert theirs.split()[1:3] == [part.replace("one", "two") for part in ours.split()[1:3]]
