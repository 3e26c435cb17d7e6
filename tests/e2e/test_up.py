"""`tiendo up` and the commands beside it, as a newcomer types them."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from services.common.broker import Broker
from tests.support.ports import free_port
from tests.support.up import Up

pytestmark = [pytest.mark.e2e]

SEED_LINE = "11 / 227 completed (4.85 %), 216 not reported, as of 09/2022"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A running `tiendo up`, ended after the module."""
    started = Up(tmp_path_factory.mktemp("up"))
    started.start()
    yield started
    if started.process and started.process.poll() is None:
        started.stop()


def test_the_panel_shows_the_figures_and_commands_that_work(up: Up) -> None:
    """After Ctrl-C and a second start the panel shows the kept figures, and its first command works as it stands."""
    code, words = up.stop()
    lines = up.start()

    assert code == 0
    assert "The data is kept in" in words
    panel = "\n".join(lines)
    assert SEED_LINE in panel
    command = next(line for line in lines if "how complete" in line).partition("how complete")[0].strip("│ ")
    done = subprocess.run(command, shell=True, env=up.environ, capture_output=True, text=True, timeout=30, check=False)
    assert "11 / 227" in done.stdout, f"{command}: {done.stderr}"


def test_status_says_it_as_a_manager_reads_it(up: Up) -> None:
    """The Vietnamese status screen has the lines of the plan, adding up to 227, and the pace that is asked for."""
    done = up.tiendo("status", "--lang", "vi")

    assert done.returncode == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines == [
        "227 dịch vụ công trực tuyến của Bộ Công an · mục tiêu: hoàn thành trong năm 2022",
        "Số liệu tính đến 09/2022",
        "Đã hoàn thành tích hợp 11 / 227 4,85%",
        "Đang triển khai 0 trong đó vướng mắc: 0",
        "Chưa rõ ngày 0",
        "Tạm ngừng cung cấp 0",
        "Đã rút khỏi kế hoạch 0",
        "Chưa có báo cáo 216 không có nghĩa là chưa thực hiện",
        "Còn phải hoàn thành 216: cần bình quân 72 dịch vụ mỗi tháng đến 31/12/2022.",
        "Đã cập nhật đến báo cáo mới nhất. Kiểm tra hệ thống: tiendo doctor",
    ]


def test_an_operator_names_advances_and_corrects(up: Up) -> None:
    """The commands say what they did and the figures after it; a correction takes the figures back."""
    named = up.tiendo("catalog", "name", "bca-012", "Đăng ký tạm trú", "--evidence", "12/BC", "--lang", "en")
    options = ("--to", "INTEGRATED", "--date", "05/10/2022", "--evidence", "12/BC", "--lang", "en")
    advanced = up.tiendo("integration", "advance", "dang-ky-tam-tru", *options)
    unsure = up.tiendo("integration", "correct", "bca-012", "--annul", "--reason", "ghi nhầm", "--lang", "en")
    annulled = up.tiendo(
        "integration", "correct", "bca-012", "--annul", "--reason", "ghi nhầm", "--yes", "--lang", "en"
    )

    assert named.stdout == 'bca-012 is now "Đăng ký tạm trú" (also dang-ky-tam-tru). Number and history unchanged.\n'
    assert advanced.stdout.splitlines() == [
        "bca-012 Đăng ký tạm trú: SELECTED → INTEGRATED on 05/10/2022",
        "12 / 227 completed (5.29 %), 215 not reported, as of 05/10/2022",
    ]
    assert (unsure.returncode, unsure.stdout) == (1, "")
    assert annulled.stdout.splitlines() == [
        "bca-012 Đăng ký tạm trú: INTEGRATED on 05/10/2022 annulled; it is SELECTED. Both entries stay in the history.",
        SEED_LINE,
    ]


def test_refusals_have_their_exit_codes(up: Up) -> None:
    """1 refused, 2 wrong usage, 3 unreachable; the sentence is for people, in their language."""
    refused = up.tiendo("integration", "advance", "bca-001", "--to", "BUILT", "--date", "2022", "--lang", "vi")
    impossible = up.tiendo("integration", "advance", "bca-050", "--to", "BUILT", "--date", "31/02/2022")
    unknown = up.tiendo("integration", "fly", "bca-001")
    up.environ["TIENDO_STATUS_ADDRESS"], kept = f"127.0.0.1:{free_port()}", up.environ["TIENDO_STATUS_ADDRESS"]
    away = up.tiendo("status", "--lang", "en")
    up.environ["TIENDO_STATUS_ADDRESS"] = kept

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("Từ chối: ")
    assert (impossible.returncode, unknown.returncode, away.returncode) == (2, 2, 3)
    assert "tiendo doctor" in away.stderr


def test_a_mistyped_setting_stops_the_command(up: Up) -> None:
    """A TIENDO_ variable that nothing reads is refused, naming the nearest that something does."""
    up.environ["TIENDO_NATS_ULR"] = "nats://127.0.0.1:1"
    done = up.tiendo("status")
    del up.environ["TIENDO_NATS_ULR"]

    assert done.returncode == 2
    assert "TIENDO_NATS_ULR" in done.stderr
    assert "TIENDO_NATS_URL" in done.stderr


def test_a_second_start_is_refused_and_harms_nothing(up: Up) -> None:
    """While one runs, a second `up` on its data or its ports says which and what to set, and the first keeps serving."""
    same_data = up.tiendo("up", "--lang", "en")
    up.environ["TIENDO_DATA_DIR"], kept = str(up.folder / "other"), up.environ["TIENDO_DATA_DIR"]
    same_ports = up.tiendo("up", "--lang", "en")
    up.environ["TIENDO_DATA_DIR"] = kept

    assert (same_data.returncode, same_ports.returncode) == (1, 1)
    assert "TIENDO_DATA_DIR" in same_data.stderr
    assert "is taken by another program" in same_ports.stderr
    assert up.tiendo("status").returncode == 0


def test_json_is_json_alone(up: Up) -> None:
    """With --json, standard output is JSON alone, words untranslated and zeros included."""
    total = json.loads(up.tiendo("--json", "status").stdout)["total"]
    found = json.loads(up.tiendo("catalog", "search", "ho chieu", "--json").stdout)["services"]

    assert (total["completed"], total["uncertain"]) == (11, 0)
    assert [service["name"] for service in found] == ["services/bca-001"]


def test_doctor_names_what_is_wrong_and_the_remedy(up: Up) -> None:
    """All well: exit 0. A stream missing, then made again by `migrate`; the broker away: exit 1 with the remedy."""
    well = up.tiendo("doctor", "--lang", "en")
    asyncio.run(delete_stream(up.environ["TIENDO_NATS_URL"], "TIENDO_CATALOG"))
    missing = up.tiendo("doctor", "--lang", "en")
    migrated = up.tiendo("migrate")
    mended = up.tiendo("doctor", "--lang", "en")

    assert well.returncode == 0, well.stdout
    assert "3 streams" in well.stdout
    assert missing.returncode == 1
    assert "stream TIENDO_CATALOG is missing; run: tiendo migrate" in " ".join(missing.stdout.split())
    assert "TIENDO_CATALOG: made" in migrated.stdout
    assert "nothing to do" in migrated.stdout
    assert mended.returncode == 0, mended.stdout


def test_the_pages_for_prometheus_are_found(up: Up) -> None:
    """The file for Prometheus lists a page for each service, `doctor` names them, each answers, and the panel is silent."""
    listed = json.loads((up.folder / ".tiendo" / "prometheus.json").read_text())
    said = up.tiendo("doctor", "--lang", "en").stdout
    pages = {target["labels"]["service"]: target["targets"][0] for target in listed}
    read = {service: urlopen(f"http://{address}/metrics").read().decode() for service, address in pages.items()}

    assert list(pages) == ["catalog", "integration", "status"]
    assert [f"{service} http://{address}/metrics" in said for service, address in pages.items()] == [True] * 3
    assert [f'service_name="tiendo-{service}"' in text for service, text in read.items()] == [True] * 3
    assert not [line for line in up.lines if "metrics" in line]


async def delete_stream(url: str, name: str) -> None:
    """Lose a stream."""
    broker = Broker(url, name="test")
    broker.start()
    async with asyncio.timeout(10):
        await broker.wait_connected()
        await broker.client().jetstream().delete_stream(name)
    await broker.close()


def test_doctor_finds_a_broker_that_is_away_and_parts_that_ended(up: Up) -> None:
    """With the whole stopped, every part and the broker are named as away, each with what to run."""
    up.stop()
    done = up.tiendo("doctor", "--lang", "en")
    up.start()

    assert done.returncode == 1
    words = " ".join(done.stdout.split())
    assert "does not answer; writes go on. Start the NATS server: tiendo up" in words
    for service in ("catalog", "integration", "status"):
        assert f"run: tiendo serve {service}" in words
