"""Each file in tests/scenarios/raft is a story with its transcript; the story must go that way again.

`ODYSSEY_REWRITE=1 make test ARGS='-k scenarios'` writes the transcripts anew. Read the difference before it is
committed: the new transcript is only what happens, not what should.
"""

import os
from pathlib import Path

import pytest

from tests.mesh.raft.transcript import Player, blocks, rewritten

FOLDER = Path(__file__).parents[2] / "scenarios" / "raft"
FILES = sorted(FOLDER.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_scenario(path: Path) -> None:
    text = path.read_text()
    if os.environ.get("ODYSSEY_REWRITE"):
        path.write_text(rewritten(text))
        return
    player = Player()
    for block in blocks(text):
        assert player.play(block.commands) == block.expected, f"after {' · '.join(block.commands)}"


def test_there_are_scenarios() -> None:
    assert len(FILES) >= 20
