"""Settings: where they come from, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from odyssey import config
from odyssey.config import PREFIX, BadConfig


def reading(path: Path, text: str, environment: dict[str, str] | None = None, **flags: str) -> config.Config:
    file = path / "config.toml"
    file.write_text(text)
    return config.read(file, environment or {}, {name.replace("_", "."): value for name, value in flags.items()})


def test_without_a_file_every_setting_has_its_default(tmp_path: Path) -> None:
    found = config.read(tmp_path / "none.toml", {})
    assert found.text("log.level") == "info"
    assert found.number("disk.guard") == 256 << 20
    assert found.number("jobs.fresh") == 10_000


def test_flags_go_before_the_environment_before_the_file(tmp_path: Path) -> None:
    variable = {"ODYSSEY_DISK_GUARD": "2M"}
    assert reading(tmp_path, '[disk]\nguard = "1M"').number("disk.guard") == 1 << 20
    assert reading(tmp_path, '[disk]\nguard = "1M"', variable).number("disk.guard") == 2 << 20
    assert reading(tmp_path, "", variable, disk_guard="3M").number("disk.guard") == 3 << 20


def test_a_dotted_name_and_a_table_are_the_same(tmp_path: Path) -> None:
    assert reading(tmp_path, 'disk.guard = "1M"').number("disk.guard") == 1 << 20


def test_a_number_may_be_written_as_one(tmp_path: Path) -> None:
    assert reading(tmp_path, "jobs.fresh = 5").number("jobs.fresh") == 5


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ("disk.gard = 1", "there is no setting 'disk.gard'", "did you mean disk.guard?"),
        ('[dsk]\nguard = "1M"', "there is no setting 'dsk.guard'", "did you mean disk.guard?"),
        ("zzzz = 1", "there is no setting 'zzzz'", "there are: log.level"),
        ('disk.guard = "1Q"', "disk.guard: ", ""),
        ("disk.guard = 5", "disk.guard: ", "5"),
        ('log.level = "loud"', "'loud' is no level", "debug"),
        ("jobs.fresh = -1", "is not a whole number", "whole number"),
        ("jobs.fresh = 0", "is less than 1", ""),
        ("jobs.fresh = true", "neither text nor a number", "jobs.fresh"),
        ("jobs.fresh = [1]", "neither text nor a number", "jobs.fresh"),
        ("disk.guard", "is not TOML", "disk.guard ="),
    ],
)
def test_a_mistake_is_one_error_that_says_what_would_be_right(tmp_path: Path, text: str, error: str, hint: str) -> None:
    with pytest.raises(BadConfig) as caught:
        reading(tmp_path, text)
    assert error in caught.value.message
    assert caught.value.message.startswith(str(tmp_path))
    assert hint in (caught.value.hint or "")


def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="ODYSSEY_DISK_GUARD"):
        reading(tmp_path, "", {"ODYSSEY_DISK_GUARD": "much"})


def test_variables_of_jobs_are_no_settings(tmp_path: Path) -> None:
    reading(tmp_path, "", {f"{PREFIX}JOB": "42", f"{PREFIX}HOME": "/x"})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfig, match="cannot be read"):
        config.read(tmp_path / "config.toml", {})


def test_the_docs_name_every_setting() -> None:
    docs = (Path(__file__).parent.parent.parent / "docs" / "OPERATIONS.md").read_text("utf-8")
    assert config.described() in docs
