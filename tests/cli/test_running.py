"""What a running `tiendo up` tells holds as long as it runs."""

from pathlib import Path

from services.cli import running

SETTINGS = {"TIENDO_STATUS_DATABASE_URL": "postgresql://status@/status?host=%2Fa"}


def test_it_is_heard_while_it_runs(tmp_path: Path) -> None:
    """Another process hears the settings while the folder is held, and nothing before or after, whatever file was left."""
    before = running.heard(tmp_path)
    with running.alone(tmp_path) as is_alone:
        running.tell(tmp_path, SETTINGS)
        meanwhile = running.heard(tmp_path)
    after = running.heard(tmp_path)

    assert is_alone
    assert (before, meanwhile, after) == ({}, SETTINGS, {})


def test_only_one_holds_a_folder(tmp_path: Path) -> None:
    """A second one is told that it is not alone; once the first has gone, the folder is free."""
    with running.alone(tmp_path), running.alone(tmp_path) as second:
        pass
    with running.alone(tmp_path) as third:
        pass

    assert (second, third) == (False, True)


def test_a_damaged_file_says_nothing(tmp_path: Path) -> None:
    """What cannot be read leads nobody anywhere."""
    with running.alone(tmp_path):
        (tmp_path / "up.json").write_text('["not", "settings')
        heard = running.heard(tmp_path)

    assert heard == {}
