"""What kind of machine a program needs, by the first bytes of its file.

Promises: pure; a program that says nothing of it, or that several kinds of machine run, is for any.
Never: reads a file, or looks for one on a path: where a bare name is found is each machine's business.
"""

from typing import Final, NamedTuple

HEAD: Final = 64  # bytes that tell
ANY: Final = "any"  # typed to say that it is not to be guessed
_ELF: Final = b"\x7fELF"
_MACHINES: Final = {0x3E: "x86_64", 0xB7: "arm64", 0xF3: "riscv64", 0x15: "ppc64le", 0x16: "s390x"}
_MACH_O: Final = {b"\xcf\xfa\xed\xfe": "little", b"\xfe\xed\xfa\xcf": "big"}
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
