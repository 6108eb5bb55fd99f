"""A program says for which machines it is, and is not sent to others."""

from __future__ import annotations

import os
import platform
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from odyssey import errors
from odyssey.api import requests as r
from odyssey.api.matching import Platform, platform_of
from odyssey.api.submit import matched
from odyssey.exec.probe import arch_name
from tests.api.counter import FakeCounter, blocking
from tests.api.test_walk import walked
from tests.builders import a_spec


def elf(machine: int, bits: int = 2, order: int = 1, abi: int = 0) -> bytes:
    head = b"\x7fELF" + bytes([bits, order, 1, abi]) + bytes(8)
    return head + struct.pack("<HH" if order == 1 else ">HH", 2, machine) + bytes(40)


HEADS = [
    (elf(0x3E), Platform("linux", "x86_64")),
    (elf(0xB7), Platform("linux", "arm64")),
    (elf(0x16, order=2), Platform("linux", "s390x")),
    (elf(0x03, bits=1), None),
    (elf(0x7777), None),
    (elf(0x3E, abi=9), None),  # of another system
    (elf(0x3E)[:19], None),
    (struct.pack("<II", 0xFEEDFACF, 0x0100000C) + bytes(24), Platform("darwin", "arm64")),
    (struct.pack("<II", 0xFEEDFACF, 0x01000007) + bytes(24), Platform("darwin", "x86_64")),
    (b"#!/bin/sh\necho hi\n", None),
    (b"", None),
]


@pytest.mark.parametrize(("head", "found"), HEADS)
def test_the_first_bytes_tell_what_a_program_is_for(head: bytes, found: Platform | None) -> None:
    assert platform_of(head) == found


def test_this_python_is_for_this_machine() -> None:
    head = Path(sys.executable).resolve().read_bytes()[:64]
    assert platform_of(head) == Platform(platform.system().lower(), arch_name(platform.machine()))


def test_only_a_program_in_a_folder_is_looked_at_and_what_was_typed_stands(tmp_path: Path) -> None:
    (tmp_path / "prog").write_bytes(elf(0xB7))
    os.mkfifo(tmp_path / "pipe")
    here = os.fsencode(tmp_path)

    def fits(*argv: bytes, **typed: Any) -> tuple[str, str]:
        want = matched(a_spec(argv=argv, cwd=here, **typed))
        return want.os, want.arch

    assert fits(b"./prog") == fits(here + b"/prog", b"x") == ("linux", "arm64")
    assert fits(b"prog") == fits(b"./missing") == fits(b"./pipe") == fits(b"./") == ("", "")
    assert fits(b"./prog", arch="any") == ("", "")
    assert fits(b"./prog", arch="amd64") == ("", "x86_64")
    assert fits(b"true", os="Linux", arch="aarch64") == ("linux", "arm64")


def test_a_program_for_no_machine_here_is_refused_at_submit(tmp_path: Path) -> None:
    (tmp_path / "prog").write_bytes(elf(0xB7))

    async def walk(_: FakeCounter, client: Any) -> None:
        spec = a_spec(argv=(b"./prog",), cwd=os.fsencode(tmp_path))
        with pytest.raises(errors.InvalidSpec, match="no machine can run this: titan: is x86_64"):
            await blocking(lambda: client.call(r.Submit(bytes(16), (spec,))))

    walked(tmp_path, walk)
