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
from odyssey.api.matching import Platform, interpreter_of, platform_of
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


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"#!/bin/sh\necho hi\n", "sh"),
        (b"#! /usr/bin/python3 -u\n", "python3"),
        (b"#!/usr/bin/env perl\n", "perl"),
        (b"#!/usr/bin/env -S LANG=C node --x\n", "node"),
        (b"#!/opt/tool/bin/run\n", ""),  # where that is, a name does not tell
        (b"#!/usr/bin/env\n", ""),
        (b"#!/usr/bin/a'b\n", ""),
        (b"#!/bin/sh", ""),  # not all of the line
        (b"#!\n", ""),
        (b"echo hi\n", ""),
        (b"", ""),
    ],
)
def test_a_script_names_what_runs_it(head: bytes, name: str) -> None:
    assert interpreter_of(head) == name


@pytest.mark.parametrize(
    ("typed", "needs"),
    [("", "has:perl"), ("os=linux | cuda", "(os=linux | cuda) & has:perl"), ("((", "((")],
)
def test_a_script_goes_where_its_interpreter_is(tmp_path: Path, typed: str, needs: str) -> None:
    script = tmp_path / "script"
    script.write_bytes(b"#!/usr/bin/perl\n")
    spec = a_spec(argv=(os.fsencode(script),), cwd=os.fsencode(tmp_path), needs=typed)
    assert matched(spec).needs == needs


def test_a_script_that_nothing_here_can_run_is_refused_with_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(b"#!/usr/bin/env nosuch\n")

    async def walk(_: FakeCounter, client: Any) -> None:
        spec = a_spec(user="", argv=(os.fsencode(script),), cwd=os.fsencode(tmp_path))
        with pytest.raises(errors.InvalidSpec) as told:
            await blocking(lambda: client.call(r.Submit(bytes(16), (spec,))))
        assert "is run by nosuch, which was not found" in told.value.message
        assert told.value.hint == "install nosuch, or change the first line of the script"

    walked(tmp_path, walk)


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
