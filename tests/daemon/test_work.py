"""Where jobs find their programs, whoever starts the daemon."""

from __future__ import annotations

from pathlib import Path

from odyssey.daemon.options import Options
from odyssey.daemon.work import owners_path
from odyssey.paths import Home


def test_what_a_person_had_is_kept_when_cron_starts_the_daemon(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert owners_path(home, "/opt/bin:/bin", may_change=False) == b"/opt/bin:/bin"
    assert owners_path(home, "/bin", may_change=False) == b"/opt/bin:/bin"
    assert owners_path(home, "/new/bin:/bin", may_change=True) == b"/new/bin:/bin"
    assert owners_path(home, "/bin", may_change=False) == b"/new/bin:/bin"


def test_only_up_is_the_owners_word(tmp_path: Path) -> None:
    assert Options(tmp_path).is_owners_word
    assert not Options(tmp_path, is_embedded=True).is_owners_word
    assert not Options(tmp_path, foreground=True).is_owners_word
