import errno
from pathlib import Path

import pytest

from reports.publish import published


def test_a_file_appears_at_the_end_and_replaces_the_older_one(tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.write_bytes(b"older")

    with published(target) as file:
        file.write(b"newer")
        file.flush()
        assert target.read_bytes() == b"older"

    assert target.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_of_one_target_do_not_mix(tmp_path: Path) -> None:
    target = tmp_path / "report"

    with published(target) as first, published(target) as second:
        first.write(b"first")
        second.write(b"second")

    assert target.read_bytes() == b"first"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupt_removes_the_partial_file(tmp_path: Path) -> None:
    def interrupted() -> None:
        with published(tmp_path / "report") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error_about_the_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file") as caught, published(tmp_path / "no" / "r"):
        pass

    assert caught.value.errno == errno.ENOENT
