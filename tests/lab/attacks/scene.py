"""A mesh on hosts in a box as its users make it, and what can be seen of its daemons from outside.

Promises: what is asked is asked as a person would; facts are waited for with a deadline.
Never: looks into a daemon.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

from odyssey import wire
from odyssey.mesh.company import Kept
from odyssey.mesh.trust import keyfile
from odyssey.mesh.trust.certificates import Certificate
from odyssey.mesh.trust.keyfile import Use
from odyssey.mesh.trust.signed import opened
from odyssey.paths import Home
from tests.lab import Host, Lab
from tests.system.place import wait_for

SLOW_S: Final = 120
PORTS: Final = (7660, 7661, 7662)  # joining, control, bulk
LIMITS: Final = wire.ENTRY._replace(array=32_768)
_SUM: Final = 4
ROOM_BYTES: Final = 50 << 20  # that no stranger may cost a daemon


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=SLOW_S).out)


def invite(host: Host, *words: str) -> str:
    return str(told(host, "invite", *words)["invite"])


def join(host: Host, text: str) -> None:
    host.run("odyssey", "join", "-", stdin=text, limit_s=SLOW_S)


def states(host: Host) -> dict[str, str]:
    return {one["name"]: one["state"] for one in told(host, "nodes")}


def open_up(host: Host) -> None:
    host.run("odyssey", "up", "--listen", f"0.0.0.0:{PORTS[0]}", limit_s=SLOW_S)


def mesh(lab: Lab, members: int) -> None:
    """The first so many hosts are one mesh of the first one's owner; the others are strangers."""
    open_up(lab[0])
    for host in lab.hosts[1:members]:
        join(host, invite(lab[0]))
    wait_for(lambda: is_up(lab[0], members), 30)


def is_up(host: Host, members: int) -> bool:
    found = states(host)
    return len(found) >= members and set(found.values()) == {"up"}


# -- a daemon ----------------------------------------------------------------------------------------------------------


def home(host: Host) -> Home:
    """On the disk of the host, as it is seen from here."""
    (found,) = (host.folder / "home/.local/state/odyssey").iterdir()
    return Home(found)


def curve_of(host: Host) -> str:
    """The public key of its sockets: who is on the LAN can know it."""
    return keyfile.load(home(host).curve, Use.CURVE).public.hex()


def daemon(host: Host) -> int:
    """Its process, as the host numbers it."""
    return int(told(host, "status")["pid"])


def pss(host: Host, process: int) -> int:
    for line in host.run("cat", f"/proc/{process}/smaps_rollup").out.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no Pss")


def work(host: Host, process: int) -> float:
    """Seconds of a core that it has used."""
    fields = host.run("cat", f"/proc/{process}/stat").out.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def log(host: Host) -> str:
    return home(host).log.read_text()


def node_id(host: Host) -> str:
    return str(told(host, "status")["node_id"])


def peers(host: Host) -> set[str]:
    """Whom it can dial by what is on its disk."""
    data = home(host).peers.read_bytes()[_SUM:]
    known = wire.decode_log(data, Kept, LIMITS).peers
    return {opened(one.certificate, Certificate).node for one in known if one.addresses}


# -- attackers ---------------------------------------------------------------------------------------------------------


def program(module: str, *words: str) -> tuple[str, ...]:
    """One of the attackers, to be run or started in a host."""
    return (sys.executable, "-P", "-m", f"tests.lab.attacks.{module}", *words)


def attack(host: Host, module: str, *words: str, limit_s: float = SLOW_S) -> Any:
    """What the attacker says at its end."""
    return json.loads(host.run(*program(module, *words), limit_s=limit_s).out.splitlines()[-1])


def begin(host: Host, module: str, *words: str) -> Popen[str]:
    """It has said its first line."""
    started = host.start(*program(module, *words))
    assert started.stdout is not None
    assert started.stdout.readline(), "it did not begin"
    return started


def secrets(host: Host) -> list[bytes]:
    """All private keys in its home."""
    there = home(host)
    uses = {Use.NODE: there.key, Use.CURVE: there.curve, Use.ISSUER: there.issuer, Use.ROOT: there.root}
    return [keyfile.load(path, use).secret for use, path in uses.items() if path.exists()]


def written(folder: Path, name: str, data: str) -> Path:
    (folder / name).write_text(data)
    return folder / name
