"""What is set for status is read or refused before anything starts."""

import pytest

from services.common.config import SettingsError
from services.common.program import read_settings
from services.status.config import StatusSettings
from services.status.domain import Stage


def test_days_are_set_by_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named has its own number, the rest 60."""
    monkeypatch.setenv("TIENDO_STATUS_STALLED_DAYS", "SELECTED=90, BUILT=30,")
    _, own = read_settings(StatusSettings)

    assert own.allowed_days == dict.fromkeys(Stage, 60) | {Stage.SELECTED: 90, Stage.BUILT: 30}
    assert StatusSettings(stalled_days="").allowed_days == dict.fromkeys(Stage, 60)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DONE=5", "'DONE' is no stage; write STAGE=DAYS with one of SELECTED, "),
        ("BUILT", "BUILT has no number of days; write BUILT=60, from 1 to 3,650"),
        ("BUILT=0", "write BUILT=60"),
        ("BUILT=-1", "write BUILT=60"),
        ("BUILT=٣", "write BUILT=60"),
        ("BUILT=99999999", "write BUILT=60"),
    ],
)
def test_what_cannot_be_read_stops_the_start(text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable and the fix."""
    monkeypatch.setenv("TIENDO_STATUS_STALLED_DAYS", text)
    with pytest.raises(SettingsError) as refused:
        read_settings(StatusSettings)

    assert str(refused.value).startswith("TIENDO_STATUS_STALLED_DAYS: ")
    assert said in str(refused.value)
