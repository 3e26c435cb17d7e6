"""`tiendo simulate` as somebody tries it out: a programme that never was, on an installation of its own."""

import html
import json
import re
import urllib.request
from collections.abc import Iterator

import pytest

from services.common.words import Lang, word
from tests.support.up import Up

pytestmark = pytest.mark.e2e

NAME = "SIMULATION – not real data"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A simulation played to its end, ended after the module; the tests share it in their order."""
    folder = tmp_path_factory.mktemp("simulate")
    started = Up(folder, "--data", str(folder / "own"), "--speed", "2000", "--services", "36", command="simulate")
    # What would lead it to the data of others.
    started.environ["TIENDO_CATALOG_DATABASE_URL"] = f"sqlite:///{folder}/others.db"
    started.start()
    started.read_on("Played to today")
    started.environ["TIENDO_DATA_DIR"] = str(folder / "own")
    yield started
    if started.process and started.process.poll() is None:
        started.stop()


def test_everywhere_it_says_that_it_is_a_simulation(simulated: Up) -> None:
    """The panel, every page and the terminal name the programme; the chart grows and has its forecast."""
    assert any(NAME in line for line in simulated.lines)
    for path in ("", "services", "services/mo-phong-012", "live", "attention"):
        page = urllib.request.urlopen(f"{simulated.page_url}/{path}?lang=en").read().decode()
        assert NAME in page, path
    overview = urllib.request.urlopen(f"{simulated.page_url}/?lang=en").read().decode()
    assert word("page.too_little", Lang.EN) not in overview
    drawn = html.unescape(re.findall(r'"(/burn-up\.svg[^"]*)"', overview)[0])
    assert "<svg" in urllib.request.urlopen(f"{simulated.page_url}{drawn}").read().decode()
    assert NAME in simulated.tiendo("status", "--lang", "en").stdout
    assert "completed" in next(line for line in reversed(simulated.lines) if line.startswith("To "))


def test_the_real_data_is_kept_out(simulated: Up) -> None:
    """Neither `seed` nor `up` brings the real programme into a simulation, and no database of others is opened."""
    seeded = simulated.tiendo("seed", "--lang", "en")
    begun = simulated.tiendo("up", "--lang", "en")
    other = simulated.tiendo("simulate", "--data", str(simulated.folder / "own"), "--seed", "7", "--lang", "en")

    assert (seeded.returncode, begun.returncode, other.returncode) == (1, 1, 1)
    assert "is a simulation" in seeded.stderr
    assert "tiendo simulate" in begun.stderr
    assert "--seed 1 --services 36" in other.stderr
    assert not (simulated.folder / "others.db").exists()


def test_played_again_it_goes_on_where_it_ended(simulated: Up) -> None:
    """Ctrl-C keeps the data and says where; a second start plays nothing twice."""
    before = json.loads(simulated.tiendo("status", "--json").stdout)
    code, words = simulated.stop()
    simulated.start()
    simulated.read_on("Played to today")
    after = json.loads(simulated.tiendo("status", "--json").stdout)

    assert code == 0
    assert f"The data is kept in {simulated.folder / 'own'}" in words
    assert after["revisions"] == before["revisions"]
    assert after["total"] == before["total"]
