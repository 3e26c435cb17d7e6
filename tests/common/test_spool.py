"""A list in a file gives what it was given, and leaves nothing behind."""

import gc
import pickle
import weakref
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from services.catalog.domain import Agency, OnlineLevel, OnlineLevelScheme
from services.common.dates import PartialDate
from services.common.errors import Reason, Refusal
from services.common.spool import Spool

dates = st.none() | st.builds(PartialDate, st.integers(1, 9999), st.integers(0, 12))
values = st.one_of(
    st.text(),
    st.binary(),
    st.tuples(st.integers(), st.text()),
    st.builds(Agency, st.text(), dates, dates),
    st.builds(OnlineLevel, st.sampled_from(OnlineLevelScheme), st.text(), dates),
)


@given(st.lists(values, max_size=70), st.data())
def test_a_list_in_a_file_is_like_one_in_memory(told: list[object], data: st.DataObject) -> None:
    """Its length, order, places, from either end, and slices are those of what was appended, read while it grows too."""
    spool = Spool[object]()
    for number, value in enumerate(told, start=1):
        spool.append(value)
        place = data.draw(st.integers(-number, number - 1))
        assert spool[place] == told[:number][place]
    part = data.draw(st.slices(len(told)))

    assert len(spool) == len(told)
    assert list(spool) == told
    assert spool[part] == told[part]
    assert [*map(type, spool)] == [*map(type, told)]


def test_a_refusal_comes_back_whole() -> None:
    """Reason, kind, text, field, metadata and the time to wait are those of the refusal that was put in."""
    refusal = Refusal(Reason.TOO_MANY, "too many", field="rows[1]", metadata={"limit": "3"}, retry_seconds=2)
    again = pickle.loads(pickle.dumps(refusal))

    assert type(again) is Refusal
    assert vars(again) == vars(refusal)
    assert str(again) == str(refusal) == "rows[1]: too many"


def test_its_file_is_gone_with_it() -> None:
    """A long list opens one file, without a name, and whoever drops the list has closed it, collector or not."""
    before = _open_files()
    gc.disable()
    try:
        spool = Spool[bytes]()
        for _ in range(100):
            spool.append(bytes(1000))
        assert (len(spool[:90]), spool[40]) == (90, bytes(1000))
        opened = _open_files() - before
        dropped = weakref.ref(spool)
        del spool
        assert dropped() is None
    finally:
        gc.enable()

    assert [name.endswith(" (deleted)") for name in opened] == [True]
    assert _open_files() == before


def _open_files() -> set[str]:
    """What this process has open, by name."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(each.readlink()))
        except OSError:  # the folder's own
            continue
    return found
