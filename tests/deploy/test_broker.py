"""The broker's configuration, on three real servers: they form a cluster, and nobody may do there what is not his."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError

from services.common.broker import Broker
from services.common.config import SERVICES
from services.common.stream_specs import ensure_stream, stream_specs
from tests.support.broker_cluster import BrokerCluster, secrets, server_program
from tests.support.deployment import DEPLOY
from tests.support.forked import run
from tests.support.nats import until
from tests.support.ports import free_port

WORDS = {"catalog": "catalog", "integration": "integration", "status": "progress"}
FOLLOWED: dict[str, list[str]] = {"catalog": [], "integration": ["catalog"], "status": ["catalog", "integration"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrokerCluster]:
    """Three servers with the three streams in three copies."""
    cluster = BrokerCluster(tmp_path_factory.mktemp("cluster"))
    try:
        await cluster.start()
        async with cluster.connected("operator") as operator:
            for spec in stream_specs(num_replicas=3):
                await ensure_stream(operator.jetstream(), spec)
        yield cluster
    finally:
        cluster.close()


async def held(cluster: BrokerCluster) -> dict[str, int]:
    """How many messages each stream has."""
    async with cluster.connected("operator") as operator:
        infos = [await operator.jetstream().stream_info(spec.name) for spec in stream_specs()]
    return {str(info.config.name): info.state.messages for info in infos}


async def settle(client: Client) -> None:
    """Return when the server has seen what was sent, and said what it refuses of it.

    It answers in order, but the library lets its first question overtake what waits to be sent.
    """
    await client.flush()
    await client.flush()


async def refused(cluster: BrokerCluster, user: str, messages: Mapping[str, bytes]) -> set[str]:
    """Publish under a user's name; give the subjects that the server refused to take."""
    complaints: list[str] = []
    async with cluster.connected(user, complaints) as client:
        for subject, body in messages.items():
            await client.publish(subject, body, reply=f"_INBOX.tried.{subject}")
        await settle(client)
    return {subject for subject in messages for each in complaints if f'publish to "{subject.lower()}"' in each.lower()}


@pytest.mark.parametrize("file", ["nats.conf", "systemd/nats.conf"])
def test_the_server_takes_it(file: str, tmp_path: Path) -> None:
    """`nats-server -t` accepts the file, and refuses it with a word misspelt."""
    shutil.copy(DEPLOY / "nats-accounts.conf", tmp_path)
    shutil.copy(DEPLOY / file, tmp_path / "nats.conf")
    misspelt = tmp_path / "misspelt.conf"
    misspelt.write_text((DEPLOY / file).read_text().replace("max_payload", "max_paylod"))
    environ = secrets() | {
        "HOSTNAME": "a",
        "NATS_STORE": str(tmp_path),
        "NATS_ROUTES": "[nats://route:of-route@a:6222]",
    }
    command = [server_program(), "-t", "-c"]
    good, bad = (
        subprocess.run([*command, str(each)], env=environ, capture_output=True, text=True, timeout=20, check=False)
        for each in (tmp_path / "nats.conf", misspelt)
    )

    assert good.returncode == 0, good.stderr
    assert "max_paylod" in bad.stderr


@pytest.mark.asyncio(loop_scope="module")
async def test_each_stream_has_three_copies(cluster: BrokerCluster) -> None:
    """The streams are kept by all three servers, each copy current, and writes are synchronous as shipped."""
    async with cluster.connected("operator") as operator:
        for spec in stream_specs():
            async with asyncio.timeout(20):
                while True:
                    info = await operator.jetstream().stream_info(spec.name)
                    assert info.cluster is not None
                    peers = info.cluster.replicas or []
                    if [peer.current for peer in peers] == [True, True]:
                        break
                    await asyncio.sleep(0.1)

    assert "sync_interval: always" in (DEPLOY / "nats.conf").read_text()


def migrate(url: str, folder: Path) -> dict[str, str]:
    """Run `tiendo migrate`; give what it did to each stream."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TIENDO_")}
    environ |= {"TIENDO_DATA_DIR": str(folder), "TIENDO_NATS_URL": url}
    done = run("services.cli", "migrate", "--json", env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    streams: dict[str, str] = json.loads(done.stdout)["streams"]
    return streams


@pytest.mark.asyncio(loop_scope="module")
async def test_migrate_makes_the_streams(cluster: BrokerCluster, tmp_path: Path) -> None:
    """`tiendo migrate`, as operator, makes a missing stream in three copies, and takes none away through one address alone."""
    async with cluster.connected("operator") as operator:
        await operator.jetstream().delete_stream("TIENDO_PROGRESS")
    made = await asyncio.to_thread(migrate, cluster.url("operator"), tmp_path)
    again = await asyncio.to_thread(migrate, cluster.url("operator").split(",")[0], tmp_path)
    async with cluster.connected("operator") as operator:
        infos = [await operator.jetstream().stream_info(spec.name) for spec in stream_specs()]

    assert made == {"TIENDO_CATALOG": "present", "TIENDO_INTEGRATION": "present", "TIENDO_PROGRESS": "made"}
    assert set(again.values()) == {"present"}
    assert [info.config.num_replicas for info in infos] == [3, 3, 3]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_writes_its_own_events_alone(cluster: BrokerCluster, service: str) -> None:
    """A service's event is stored and it may wake its own replicas; under its name no other subject of ours takes a message."""
    before = await held(cluster)
    events = {name: f"tiendo.{word}.v1.tried._" for name, word in WORDS.items()}
    wakes = {name: f"tiendo.{name}.wake" for name in SERVICES}
    stopped = await refused(cluster, service, dict.fromkeys([*events.values(), *wakes.values()], b"{}"))
    own = f"TIENDO_{WORDS[service].upper()}"
    async with asyncio.timeout(20):
        while (after := await held(cluster)) == before:
            await asyncio.sleep(0.02)

    assert stopped == {*events.values(), *wakes.values()} - {events[service], wakes[service]}
    assert after == before | {own: before[own] + 1}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("user", [*SERVICES, "reader"])
async def test_only_the_operator_changes_streams(cluster: BrokerCluster, user: str) -> None:
    """A service may look at its own stream; it can neither look at another, nor make, empty or delete one."""
    before = await held(cluster)
    names = {word: f"TIENDO_{word.upper()}" for word in WORDS.values()}
    looks = {f"$JS.API.STREAM.{verb}.{name}": name for verb in ("INFO", "MSG.GET") for name in names.values()}
    changes = {
        f"$JS.API.STREAM.{verb}.{name}"
        for verb in ("PURGE", "DELETE", "UPDATE", "MSG.DELETE")
        for name in names.values()
    } | {"$JS.API.STREAM.CREATE.OTHER", "$JS.API.CONSUMER.CREATE.TIENDO_CATALOG"}
    stopped = await refused(cluster, user, dict.fromkeys([*looks, *changes], b""))
    own = {subject for subject, name in looks.items() if name == names.get(WORDS.get(user, ""))}

    assert stopped == set(looks) - own | changes
    assert await held(cluster) == before


@pytest.mark.asyncio(loop_scope="module")
async def test_followers_hear_their_sources_alone(cluster: BrokerCluster) -> None:
    """Each service hears the events it follows and no others; an outside reader hears all of them."""
    expected = {user: {f"tiendo.{word}.v1.told._" for word in words} for user, words in FOLLOWED.items()}
    expected["reader"] = {f"tiendo.{word}.v1.told._" for word in WORDS.values()}
    heard: dict[str, set[str]] = {user: set() for user in expected}
    async with contextlib.AsyncExitStack() as stack:
        clients = {user: await stack.enter_async_context(cluster.connected(user)) for user in expected}
        for user, client in clients.items():
            await _listen(client, heard[user])
        async with asyncio.timeout(20):
            # Told again until all have heard it: who listens at one server is known to its sisters only a moment later.
            while any(heard[user] < subjects for user, subjects in expected.items()):
                for service, word in WORDS.items():
                    await clients[service].request(f"tiendo.{word}.v1.told._", b"{}", timeout=5)
                await asyncio.sleep(0.05)

    assert heard == expected


async def _listen(client: Client, heard: set[str]) -> None:
    async def note(message: Msg) -> None:
        heard.add(message.subject)

    for word in WORDS.values():
        await client.subscribe(f"tiendo.{word}.v1.>", cb=note)
    await settle(client)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_reader_publishes_reaches_nobody(cluster: BrokerCluster) -> None:
    """An outside reader's message under one of our subjects is neither stored nor heard."""
    before = await held(cluster)
    async with cluster.connected("status") as status, cluster.connected("reader") as reader:
        subscription = await status.subscribe("tiendo.catalog.v1.>")
        await settle(status)
        await reader.publish("tiendo.catalog.v1.forged._", b"{}")
        await settle(reader)
        await settle(status)

        assert subscription.pending_msgs == 0
    assert await held(cluster) == before


@pytest.mark.asyncio(loop_scope="module")
async def test_without_credentials_nobody_comes_in(cluster: BrokerCluster) -> None:
    """A client without a password, or with a wrong one, is refused."""
    for credentials in ("", "catalog:wrong@"):
        broker = Broker(f"nats://{credentials}127.0.0.1:{cluster.ports[0]}", name="test", retry_seconds=(0.05, 0.1))
        broker.start()
        await until(lambda broker=broker: "refuses our credentials" in broker.reason)  # type: ignore[misc]
        await broker.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_the_account_is_limited(cluster: BrokerCluster) -> None:
    """The operator cannot fill the servers with other streams: the account's limit refuses one that they would hold."""
    async with cluster.connected("operator") as operator:
        with pytest.raises(APIError) as refusal:
            await operator.jetstream().add_stream(name="LARGE", subjects=["large"], max_bytes=3 << 29, num_replicas=3)

    assert "insufficient storage" in str(refusal.value.description)


def test_the_broker_of_a_single_host(tmp_path: Path) -> None:
    """With the file for one host a server starts, and `tiendo migrate` makes the streams there."""
    port = free_port()
    shutil.copy(DEPLOY / "nats-accounts.conf", tmp_path)
    shutil.copy(DEPLOY / "systemd" / "nats.conf", tmp_path)
    environ = secrets() | {"NATS_STORE": str(tmp_path / "store")}
    with (tmp_path / "log").open("wb") as log:
        command = [server_program(), "-c", str(tmp_path / "nats.conf"), "-p", str(port)]
        server = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        made = migrate(f"nats://operator:of-operator@127.0.0.1:{port}", tmp_path / "data")
    finally:
        server.kill()
        server.wait()

    assert made == {spec.name: "made" for spec in stream_specs()}
