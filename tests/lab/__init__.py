"""Hosts in a box: machines of a LAN as namespaces of this one, with real daemons and a real network between them.

    with Lab(3) as lab:
        lab[0].run("odyssey", "up")
        lab.cut(1)

`make lab N=3` opens one for people; `make test-lab` runs the tests that live in one.
"""

from tests.lab.host import Done, Host
from tests.lab.lab import Lab

__all__ = ["Done", "Host", "Lab"]
