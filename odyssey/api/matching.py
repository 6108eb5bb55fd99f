"""What kind of machine a program needs, by the first bytes of its file.

Promises: pure; a program that says nothing of it, or that several kinds of machine run, is for any.
Never: reads a file, or looks for one on a path: where a bare name is found is each machine's business.
"""

import re
from typing import Final, NamedTuple

HEAD: Final = 256  # bytes that tell
ANY: Final = "any"  # typed to say that it is not to be guessed
_ELF: Final = b"\x7fELF"
_MACHINES: Final = {0x3E: "x86_64", 0xB7: "arm64", 0xF3: "riscv64", 0x15: "ppc64le", 0x16: "s390x"}
_MACH_O: Final = {b"\xcf\xfa\xed\xfe": "little", b"\xfe\xed\xfa\xcf": "big"}
_FOLDERS: Final = ("/bin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")  # on everybody's path
_PROGRAM: Final = re.compile(r"[A-Za-z0-9_.+-]+")
_CPUS: Final = {0x01000007: "x86_64", 0x0100000C: "arm64"}


class Platform(NamedTuple):
    os: str
    arch: str


def platform_of(head: bytes) -> Platform | None:
    """None: a script, or something that this does not know."""
    if head.startswith(_ELF) and len(head) >= 20 and head[4] == 2:  # of 64 bits: smaller ones run on several
        order = "little" if head[5] == 1 else "big"
        arch = _MACHINES.get(int.from_bytes(head[18:20], order))  # type: ignore[arg-type]
        return Platform("linux", arch) if arch is not None and head[7] in (0, 3) else None
    found = _MACH_O.get(head[:4])
    if found is not None and len(head) >= 8:
        arch = _CPUS.get(int.from_bytes(head[4:8], found))  # type: ignore[arg-type]
        return Platform("darwin", arch) if arch is not None else None
    return None


def interpreter_of(head: bytes) -> str:
    """The program that a script names in its first line, where every machine would look for it by its name; else ""."""
    line, end, _ = head.partition(b"\n")
    if not line.startswith(b"#!") or not end:
        return ""
    words = line[2:].decode("ascii", "replace").split()
    folder, _, name = words[0].rpartition("/") if words else ("", "", "")
    if folder not in _FOLDERS:
        return ""
    if name == "env":
        name = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")
    return name if _PROGRAM.fullmatch(name) else ""
