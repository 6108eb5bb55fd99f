"""Joining without an invite, as two people do it: one at each machine, and each types what the other one reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.lab.sitting import sits
from tests.system.people import Terminal
from tests.system.place import wait_for

pytestmark = pytest.mark.lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(3) as lab:
        lab[0].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
        yield lab


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=120).out)


def names(host: Host) -> set[str]:
    return {one["name"] for one in told(host, "nodes") if one["state"] == "up"}


def asking(host: Host) -> list[str]:
    return [one["name"] for one in told(host, "approve")["asking"]]


@contextmanager
def joins(lab: Lab, number: int, *more: str) -> Iterator[Terminal]:
    """It asks, and waits for its code to be typed."""
    with sits(lab[number], "odyssey", "join", "--addr", lab[0].address, *more) as terminal:
        terminal.until(b"Paste the invite", 60)
        terminal.types(b"\n")
        yield terminal


def code_in(shown: bytes) -> str:
    found = re.findall(rb"code[^\r\n]*?:\s+([0-9]{3} [0-9]{3})", shown)
    assert found, shown
    return bytes(found[-1]).decode()


def code_of(terminal: Terminal) -> str:
    return code_in(terminal.until(b"shown there: ", 60))


def approve(host: Host, name: str, code: str) -> str:
    return code_in(host.run("odyssey", "approve", name, "--code", code, limit_s=60).out.encode())


def other(code: str) -> str:
    return f"{(int(code.replace(' ', '')) + 1) % 10**6:06}"


def test_two_typed_codes_let_a_machine_in(lab: Lab) -> None:
    with joins(lab, 1) as there:
        code = code_of(there)
        (line,) = host_lines(lab[0], "approve")
        assert re.fullmatch(rf"h2 \(.*, \d+ cores?, {lab[1].address}\) asks to join: odyssey approve h2", line)
        assert line in host_lines(lab[0], "status")
        with sits(lab[0], "odyssey", "approve", "h2") as here:
            here.until(b"code that it shows: ", 60)
            here.types(f"{code}\n".encode())
            mine = code_in(here.until(b"\n", 60) + here.until(b"\n", 60))
            assert here.ends(60) == 0
        there.types(f"{mine}\n".encode())
        there.until(b"is in ", 60)
        assert there.ends(60) == 0
    wait_for(lambda: names(lab[0]) == names(lab[1]) == {"h1", "h2"}, 30)
    assert asking(lab[0]) == []
    assert lab[1].run("odyssey", "run", "--", "echo", "hello", limit_s=60).out == "hello\n"


def host_lines(host: Host, *words: str) -> list[str]:
    return host.run("odyssey", *words, limit_s=60).out.splitlines()


def test_without_an_address_the_mesh_is_found_by_itself(lab: Lab) -> None:
    with sits(lab[1], "odyssey", "join", "--name", "pi4") as there:
        there.until(b"Paste the invite", 60)
        there.types(b"\n")
        there.types(f"{approve(lab[0], 'pi4', code_of(there))}\n".encode())
        assert there.ends(60) == 0
    wait_for(lambda: names(lab[0]) == {"h1", "pi4"}, 30)


def test_several_meshes_are_told_and_none_is_chosen(lab: Lab) -> None:
    lab[2].run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
    with sits(lab[1], "odyssey", "join") as there:
        there.until(b"Paste the invite", 60)
        there.types(b"\n")
        there.until(b"there are several meshes here", 60)
        assert there.ends(60) == 2
    for host in (lab[0], lab[2]):
        assert f"{host.address}:7660".encode() in there.seen


def test_wrong_codes_end_it_on_the_side_that_asks_and_a_no_is_heard_while_somebody_types(lab: Lab) -> None:
    with joins(lab, 1) as there:
        code_of(there)
        for left in ("2 tries", "1 try"):
            refused = lab[0].run("odyssey", "approve", "h2", "--code", "000000", check=False)
            assert (refused.status, f"({left} left)" in refused.err) == (4, True)
        lab[0].run("odyssey", "approve", "h2", "--code", "000000", check=False)
        there.until(b"wrong three times", 60)
        assert there.ends(60) == 4
        assert there.seen.count(b"error:") == 1
    with joins(lab, 1) as there:
        code_of(there)
        lab[0].run("odyssey", "approve", "h2", "--deny")
        there.until(b"somebody there said no", 60)
        assert there.ends(60) == 4
    assert names(lab[0]) == {"h1"}
    assert lab[1].run("odyssey", "run", "--", "echo", "alone", limit_s=60).out == "alone\n"


def test_the_machine_that_asks_is_let_in_only_with_the_code_of_the_other_one(lab: Lab) -> None:
    with joins(lab, 1) as there:
        mine = approve(lab[0], "h2", code_of(there))
        for left in (b"2 tries left", b"1 try left"):
            there.types(f"{other(mine)}\n".encode())
            there.until(left, 60)
        there.types(f"{other(mine)}\n".encode())
        assert there.ends(60) == 4
    assert names(lab[0]) == {"h1"}


def test_two_ask_at_once_and_each_gets_in_by_its_own_code(lab: Lab) -> None:
    with joins(lab, 1, "--name", "pi4") as one, joins(lab, 2, "--name", "pi4") as two:
        codes = code_of(one), code_of(two)
        wait_for(lambda: asking(lab[0]) == ["pi4", "pi4"], 30)
        unclear = lab[0].run("odyssey", "approve", "pi4", "--code", codes[0], check=False)
        assert (unclear.status, "several machines ask as pi4" in unclear.err) == (2, True)
        swapped = lab[0].run("odyssey", "approve", lab[1].address, "--code", codes[1], check=False)
        assert swapped.status == 4
        for host, terminal, code in ((lab[1], one, codes[0]), (lab[2], two, codes[1])):
            terminal.types(f"{approve(lab[0], host.address, code)}\n".encode())
            assert terminal.ends(60) == 0
    wait_for(lambda: names(lab[0]) == {"h1", "pi4", "pi4-2"}, 30)


def test_a_lost_connection_and_a_person_who_gives_up_are_one_line_each(lab: Lab) -> None:
    lab[1].run("odyssey", "run", "--", "true", limit_s=60)
    with joins(lab, 1) as there:
        code_of(there)
        lab[0].run("odyssey", "down", limit_s=60)
        there.until(b"not let in: the connection ended", 60)
        assert there.ends(60) == 3
    lab[0].run("odyssey", "up", limit_s=60)
    with joins(lab, 1) as there:
        code_of(there)
        lab[1].run("pkill", "-INT", "-f", "[m] odyssey join")  # Ctrl-C
        assert there.ends(60) == 130
    wait_for(lambda: asking(lab[0]) == [], 30)
    assert told(lab[1], "status")["jobs"]["done"] == 1


def test_where_nobody_answers_or_no_terminal_is(lab: Lab) -> None:
    with sits(lab[1], "odyssey", "join", "--addr", lab[2].address) as there:
        there.until(b"Paste the invite", 60)
        there.types(b"\n")
        there.until(b"no mesh answers at", 60)
        assert there.ends(60) == 3
    piped = lab[1].run("odyssey", "join", "--addr", lab[0].address, check=False)
    assert (piped.status, "no invite was given" in piped.err) == (2, True)
