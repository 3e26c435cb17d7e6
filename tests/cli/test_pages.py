"""The pages for Prometheus are found by whoever looks, and never in the way."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.cli import pages
from services.cli.addresses import calling_host


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """No port is set unless a test sets it."""
    for service in ("CATALOG", "INTEGRATION", "STATUS"):
        monkeypatch.delenv(f"TIENDO_{service}_METRICS_PORT", raising=False)


@contextmanager
def answering(content: bytes) -> Iterator[str]:
    """A web server that gives the same to everyone; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_free_ports_are_found() -> None:
    """A port that is taken, or given to another page already, is passed over."""
    with socket.create_server(("127.0.0.1", 0)) as other, socket.create_server(("127.0.0.1", 0)) as gone:
        taken, free = other.getsockname()[1], gone.getsockname()[1]
        gone.close()
        drawn = iter([taken, free, free, taken, free + 1, free + 2, free + 3, free + 4])
        ports = pages.find("127.0.0.1", draw=lambda: next(drawn))

    assert ports["catalog"] == free
    assert taken not in ports.values()
    assert len(set(ports.values())) == 3


def test_a_port_that_was_set_is_kept_and_0_means_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was set is used as it is, even when taken, for then the start is to say so; 0 is made a real port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setenv("TIENDO_STATUS_METRICS_PORT", str(taken))
        monkeypatch.setenv("TIENDO_CATALOG_METRICS_PORT", "0")
        ports = pages.find("127.0.0.1")

    assert ports["status"] == taken
    assert ports["catalog"] != 0


def test_each_replica_has_a_page_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two replicas have two ports, the first the one that was set; both are written and known under their service."""
    monkeypatch.setenv("TIENDO_STATUS_METRICS_PORT", "9113")
    ports = pages.find("127.0.0.1", ["catalog-1", "catalog-2", "integration-1", "status-1", "status-2"])
    pages.write(tmp_path, "127.0.0.1", ports)
    monkeypatch.delenv("TIENDO_STATUS_METRICS_PORT")
    known = pages.known(tmp_path, "127.0.0.1")

    assert ports["status-1"] == 9113
    assert len(set(ports.values())) == 5
    assert [service for service, _ in known] == ["catalog", "catalog", "integration", "status", "status"]
    assert known[3:] == [("status", "127.0.0.1:9113"), ("status", f"127.0.0.1:{ports['status-2']}")]


def test_the_file_is_what_prometheus_takes(tmp_path: Path) -> None:
    """The file has the form of file_sd_configs, is read back, and is gone once removed."""
    pages.write(tmp_path, "127.0.0.1", {"catalog": 7111, "status": 7113})
    written = json.loads((tmp_path / "prometheus.json").read_text())
    known = pages.known(tmp_path, "127.0.0.1")
    pages.remove(tmp_path)

    assert written[0] == {"targets": ["127.0.0.1:7111"], "labels": {"service": "catalog"}}
    assert known == [("catalog", "127.0.0.1:7111"), ("status", "127.0.0.1:7113")]
    assert pages.known(tmp_path, "127.0.0.1") == []
    assert list(tmp_path.iterdir()) == []


def test_the_environment_knows_better_than_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port set for this command wins over what a `tiendo up` wrote; a damaged file says nothing."""
    pages.write(tmp_path, "127.0.0.1", {"catalog": 7111})
    monkeypatch.setenv("TIENDO_CATALOG_METRICS_PORT", "9111")
    known = pages.known(tmp_path, calling_host("0.0.0.0"))
    monkeypatch.delenv("TIENDO_CATALOG_METRICS_PORT")
    (tmp_path / "prometheus.json").write_text('{"not": [')

    assert known == [("catalog", "127.0.0.1:9111")]
    assert pages.known(tmp_path, "127.0.0.1") == []


def test_only_a_page_of_metrics_counts_as_one() -> None:
    """Another program's page and a closed port are no answer; a page with target_info is."""
    with answering(b"hello") as other, answering(b"target_info 1") as ours:
        told = [pages.answers(other), pages.answers(ours)]

    assert told == [False, True]
    assert not pages.answers(ours)
