"""The disk that misbehaves does so for tests only, and not beyond their end."""

import subprocess
import sys
from pathlib import Path

from tests.contracts.shaky_disk import probe

LEFT_OPEN = """
import sqlite3, sys
from tests.contracts.shaky_disk import installed
with installed():
    sys.left_open = sqlite3.connect(sys.argv[1], isolation_level=None)
    sys.left_open.execute("PRAGMA journal_mode=WAL")
    sys.left_open.execute("CREATE TABLE t (x)")
"""


def test_a_database_that_nobody_closes_is_closed_by_the_usual_disk_when_python_ends(tmp_path: Path) -> None:
    """Else SQLite calls functions that are freed already."""
    probe(tmp_path)
    command = [sys.executable, "-c", LEFT_OPEN, str(tmp_path / "left.db")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
