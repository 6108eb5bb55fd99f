"""Many machines that come into one mesh in the same moment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab
from tests.lab.scale import come_together
from tests.lab.together import Together
from tests.system.place import wait_for

pytestmark = pytest.mark.lab

MACHINES = 10


@pytest.fixture
def mesh() -> Iterator[Together]:
    with Lab(MACHINES) as lab:
        mesh = Together(lab)
        yield mesh
        mesh.close()


def test_who_joins_among_many_is_seen_by_all_and_answers_as_the_others_do(mesh: Together) -> None:
    """Whom a newcomer asks first may have come in a moment ago, and know nothing: it must not believe that."""
    come_together(mesh)
    wait_for(lambda: mesh.is_whole(mesh), 10)
    for one in mesh:
        told = one.host.run("odyssey", "run", "--", "echo", one.host.name, limit_s=60)
        assert told.out == f"{one.host.name}\n"
