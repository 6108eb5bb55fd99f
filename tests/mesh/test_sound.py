"""The rules that every store shares, where no store can show them alone."""

from pathlib import Path

import pytest

from odyssey.mesh import sound
from odyssey.mesh.store import Damaged
from tests.contracts.store_rigs import a_snapshot, slices


@pytest.mark.parametrize("which", range(5))
def test_the_last_slice_of_a_rotten_snapshot_is_never_given(which: int) -> None:
    """Whoever has it in hand has all of what was written."""
    rotten: list[bytes] = slices("ten")
    given: list[bytes] = []
    rotten[which] = b"rot".ljust(3000)
    with pytest.raises(Damaged, match="up to entry 10"):
        given.extend(sound.verified(Path("mesh.db"), a_snapshot(10, 1, slices("ten")), rotten))
    assert given == rotten[:-1]
