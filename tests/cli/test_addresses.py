"""Ports and addresses agree, whichever was set."""

import socket

import pytest

from services.cli.addresses import Addresses, beside, find
from services.common.config import Settings, SettingsError
from tests.support.ports import free_port


def test_defaults_need_no_assignment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings the ports are the agreed ones."""
    for service in ("CATALOG", "INTEGRATION", "STATUS"):
        monkeypatch.delenv(f"TIENDO_{service}_ADDRESS", raising=False)
    addresses = find(Settings(), {})

    assert dict(addresses.ports) == {"catalog": 7101, "integration": 7102, "status": 7103}
    assert addresses.nats_host_port() == ("127.0.0.1", 7104)
    assert addresses.own_nats()
    assert addresses.assignments() == {}


def test_port_moves_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that was set is where callers look."""
    monkeypatch.setenv("TIENDO_STATUS_PORT", "8103")

    addresses = find(Settings(), {"TIENDO_STATUS_PORT": "8103"})

    assert addresses.calls["status"] == "127.0.0.1:8103"
    assert addresses.environ()["TIENDO_STATUS_ADDRESS"] == "127.0.0.1:8103"
    assert addresses.assignments() == {"TIENDO_STATUS_ADDRESS": "127.0.0.1:8103"}


def test_the_pages_have_a_port_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everyone is told of the pages' port: the service that serves them, the panel, a command that needs it."""
    monkeypatch.delenv("TIENDO_STATUS_WEB_PORT", raising=False)
    usual = find(Settings(), {})
    monkeypatch.setenv("TIENDO_STATUS_WEB_PORT", "8100")
    moved = find(Settings(host="0.0.0.0"), {})
    monkeypatch.setenv("TIENDO_STATUS_WEB_PORT", "")
    none = find(Settings(), {})

    assert (usual.page(), usual.environ()["TIENDO_STATUS_WEB_PORT"]) == ("http://127.0.0.1:7100", "7100")
    assert (moved.page(), moved.assignments()) == ("http://127.0.0.1:8100", {"TIENDO_STATUS_WEB_PORT": "8100"})
    assert (none.page(), none.environ()["TIENDO_STATUS_WEB_PORT"]) == ("", "")


def test_address_moves_the_port() -> None:
    """An address that was set is where the service listens."""
    addresses = find(Settings(catalog_address="127.0.0.1:9001"), {"TIENDO_CATALOG_ADDRESS": "127.0.0.1:9001"})

    assert addresses.ports["catalog"] == 9001
    with pytest.raises(SettingsError, match="TIENDO_CATALOG_ADDRESS"):
        find(Settings(catalog_address="nowhere"), {"TIENDO_CATALOG_ADDRESS": "nowhere"})


def test_broker_elsewhere_is_not_started_here() -> None:
    """A NATS server on another machine is used, not replaced."""
    addresses = find(Settings(nats_url="nats://nats.example:4222,nats://other:4222"), {})

    assert addresses.nats_host_port() == ("nats.example", 4222)
    assert not addresses.own_nats()


def test_a_cluster_is_named_by_one_server_or_by_all() -> None:
    """One server stands for itself and the ports after it, three for themselves; two are refused."""
    one = find(Settings(nats_url="nats://127.0.0.1:7104"), {})
    three = find(Settings(nats_url="nats://127.0.0.1:1,nats://127.0.0.1:5,nats://127.0.0.1:9"), {})
    two = find(Settings(nats_url="nats://127.0.0.1:1,nats://127.0.0.1:5"), {})

    assert one.nats_cluster(3) == [("127.0.0.1", 7104), ("127.0.0.1", 7105), ("127.0.0.1", 7106)]
    assert three.nats_cluster(3) == [("127.0.0.1", 1), ("127.0.0.1", 5), ("127.0.0.1", 9)]
    with pytest.raises(SettingsError, match="TIENDO_NATS_URL"):
        two.nats_cluster(3)
    with pytest.raises(SettingsError, match="TIENDO_NATS_URL"):
        find(Settings(nats_url="nats://127.0.0.1:port"), {}).nats_servers()


def test_an_installation_beside_another_keeps_to_itself() -> None:
    """Where one default port is taken all of them move, what was set stays, and nobody elsewhere is called."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        ports = {"catalog": taken, "integration": free_port(), "status": 9103}
        calls = {name: f"elsewhere.example:{port}" for name, port in ports.items()}
        found = Addresses("127.0.0.1", ports, calls, "nats://127.0.0.1:9104", 9100)
        moved = beside(found, {"TIENDO_STATUS_PORT": "9103"})
    unmoved = beside(found, {f"TIENDO_{name.upper()}_ADDRESS": "" for name in ports} | {"TIENDO_NATS_URL": ""})

    numbers = [*moved.ports.values(), moved.web_port, moved.nats_host_port()[1]]
    assert len({*numbers}) == 5
    assert moved.ports["status"] == 9103
    assert not {taken, ports["integration"], 9100, 9104} & {*numbers}
    assert [*moved.calls.values()] == [f"127.0.0.1:{port}" for port in moved.ports.values()]
    assert (unmoved.ports, unmoved.nats_url) == (ports, "nats://127.0.0.1:9104")
    assert "elsewhere" not in "".join(unmoved.calls.values())
