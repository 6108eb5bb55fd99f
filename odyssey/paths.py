"""Where one daemon keeps its things, and where it is spoken to.

A home is one directory: keys, log, history, spool, blobs, the logs of the daemon. Its door is a unix socket elsewhere,
because the path of one ends at 107 bytes. A daemon writes into its home where its door is, so that whoever has another
environment (a cron job, another session) finds it too.

Promises: what is made is for this user alone; a directory that is somebody else's, or holds other things, is refused.
Never: deletes anything, or keeps a home on a network drive.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from odyssey.errors import CallersError, NotPermitted
from odyssey.lasting import sync_names

LONGEST_SOCKET: Final = 107  # bytes
_OURS: Final = ("start.lock", "daemon.lock", "identity", "config.toml", "policy.toml", "logs", "mesh.db")
_REMOTE: Final = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "davfs", "afs", "9p"),
        *("ceph", "glusterfs", "lustre", "gpfs", "beegfs", "pvfs2", "ocfs2", "gfs2"),
        *("fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.glusterfs", "fuse.ceph", "fuse.davfs2"),
    )
)
_MACHINE_IDS: Final = ("/etc/machine-id", "/var/lib/dbus/machine-id")
_MOUNTS: Final = "/proc/self/mountinfo"


class BadHome(CallersError):
    """A home that cannot be used."""


class Home(NamedTuple):
    """All files of one daemon. None of them need be there."""

    path: Path
    note: str = ""  # what a person should be told once about where it is

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def policy(self) -> Path:
        return self.path / "policy.toml"

    @property
    def identity(self) -> Path:
        return self.path / "identity"

    @property
    def key(self) -> Path:
        return self.identity / "key"

    @property
    def curve(self) -> Path:
        return self.identity / "curve"

    @property
    def issuer(self) -> Path:
        """With which this machine lets others in, if it may."""
        return self.identity / "issuer"

    @property
    def root(self) -> Path:
        """On the machine that founded the mesh, unless it was taken away."""
        return self.identity / "root"

    @property
    def trust(self) -> Path:
        """Whom it believes, and its own certificate."""
        return self.identity / "trust"

    @property
    def mesh(self) -> Path:
        """Which mesh it is in."""
        return self.identity / "mesh"

    @property
    def peers(self) -> Path:
        """The machines that it knows, and where they are."""
        return self.path / "peers"

    @property
    def old(self) -> Path:
        """What this machine had in meshes that it has left: a folder for each."""
        return self.path / "old"

    @property
    def leaving(self) -> Path:
        """There while this machine is leaving its mesh: the name of the folder in `old`."""
        return self.path / "leaving"

    @property
    def networks(self) -> Path:
        """Those that its owner has called his, or on which it has met a member."""
        return self.path / "networks"

    @property
    def lease(self) -> Path:
        return self.path / "lease"

    @property
    def programs(self) -> Path:
        """The PATH of the owner, for jobs."""
        return self.path / "programs"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def log(self) -> Path:
        return self.logs / "odyssey.log"

    @property
    def spool(self) -> Path:
        return self.path / "spool"

    @property
    def blobs(self) -> Path:
        return self.path / "blobs"

    @property
    def files(self) -> Path:
        """What jobs put into ODYSSEY_OUT, and where they work."""
        return self.path / "files"

    @property
    def door(self) -> Path:
        """Says where the socket is."""
        return self.path / "door"

    @property
    def start_lock(self) -> Path:
        return self.path / "start.lock"

    @property
    def daemon_lock(self) -> Path:
        return self.path / "daemon.lock"


# -- which home --------------------------------------------------------------------------------------------------------


def find_home(environment: Mapping[str, str] = os.environ, mounts: str | None = None) -> Home:
    """`mounts` is what the system says of its file systems."""
    known = _mounts() if mounts is None else mounts
    named = environment.get("ODYSSEY_HOME", "")
    if named:
        path = Path(os.path.realpath(named))
        if remote(path, known):
            text = f"{path} is on a network drive, where a log cannot be kept safely"
            raise BadHome(text, hint="set ODYSSEY_HOME to a directory on a disk of this machine, or unset it")
        return Home(path)
    path = Path(os.path.realpath(_state_directory(environment) / "odyssey" / machine_id()[:8]))
    if not remote(path, known):
        return Home(path)
    other = Path(f"/var/tmp/odyssey-{os.geteuid()}")
    return Home(other, f"your home is on a network drive; this machine's data is kept in {other}")


def _state_directory(environment: Mapping[str, str]) -> Path:
    if sys.platform == "darwin":
        return _user_directory(environment) / "Library" / "Application Support"
    named = Path(environment.get("XDG_STATE_HOME", ""))
    return named if named.is_absolute() else _user_directory(environment) / ".local" / "state"


def _user_directory(environment: Mapping[str, str]) -> Path:
    """Of who runs this: cron and service managers may not say it."""
    named = Path(environment.get("HOME", ""))
    if named.is_absolute():
        return named
    import pwd

    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return Path(f"/var/tmp/odyssey-{os.geteuid()}")


def machine_id() -> str:
    """32 characters that are this machine's own: a home directory may be shared by several."""
    for file in _MACHINE_IDS:
        try:
            text = Path(file).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text:
            return text
    from hashlib import sha256

    return sha256(os.uname().nodename.encode()).hexdigest()[:32]


def _mounts() -> str:
    try:
        return Path(_MOUNTS).read_text("utf-8", "surrogateescape")
    except OSError:
        return ""  # not Linux: nothing is known


def remote(path: Path, mounts: str) -> bool:
    """Is it on another machine's disk?"""
    best, kind = -1, ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = Path(_unescaped(fields[4]))
        if (point == path or point in path.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), right.split(" ")[0]  # the last one lies over those before
    return kind in _REMOTE


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


# -- making it ---------------------------------------------------------------------------------------------------------


def prepare(home: Home) -> None:
    """It is there, a directory of this user alone, and holds nothing that is not ours."""
    try:
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(home.path)
        names = set(os.listdir(home.path))
    except OSError as error:
        hint = "set ODYSSEY_HOME to a directory that this user can write to"
        raise BadHome(f"{home.path} cannot be used: {error.strerror}", hint=hint) from error
    if names and names.isdisjoint(_OURS):
        hint = "set ODYSSEY_HOME to an empty directory, or unset it"
        raise BadHome(f"{home.path} holds other things and is no home of Odyssey", hint=hint)


def _check_private(directory: Path) -> None:
    """Not a link, this user's, and closed to others; what is open is closed."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise BadHome(f"{directory} is no directory", hint="move it away, or set ODYSSEY_HOME")
    if found.st_uid != os.geteuid():
        text = f"{directory} belongs to another user (uid {found.st_uid})"
        raise NotPermitted(text, hint="run this as that user, or set ODYSSEY_HOME to a directory of your own")
    if found.st_mode & 0o077:
        directory.chmod(0o700)


def write_whole(path: Path, data: bytes) -> None:
    """After this the file holds exactly that, also after a power cut; until then, what it held before."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)  # of a writing that was interrupted
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    finally:
        os.close(file)
    new.replace(path)
    sync_names(path.parent)


# -- the door ----------------------------------------------------------------------------------------------------------


def socket_path(home: Home, environment: Mapping[str, str] = os.environ) -> Path:
    """Where a daemon of this home opens its door. The directory is there and private when this returns."""
    named = environment.get("ODYSSEY_SOCKET", "")
    if named:
        return _short_enough(Path(named))
    import tempfile  # these take longer to import than everything else here
    from hashlib import sha256

    name = f"{sha256(os.fsencode(home.path)).hexdigest()[:12]}.sock"
    runtime = Path(environment.get("XDG_RUNTIME_DIR", ""))
    if runtime.is_absolute() and _is_own(runtime):
        path = runtime / "odyssey" / name
    else:
        path = Path(tempfile.gettempdir()) / f"odyssey-{os.geteuid()}" / name
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        path = Path(f"/tmp/odyssey-{os.geteuid()}") / name
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _check_private(path.parent)
    except OSError as error:
        hint = "set ODYSSEY_SOCKET to a path in a directory of your own"
        raise BadHome(f"{path.parent} cannot be used: {error.strerror}", hint=hint) from error
    return path


def _is_own(directory: Path) -> bool:
    try:
        found = directory.stat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _short_enough(path: Path) -> Path:
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        text = f"the path of the socket is {len(os.fsencode(path))} bytes long"
        raise BadHome(text, hint=f"set ODYSSEY_SOCKET to a path of at most {LONGEST_SOCKET} bytes")
    return path


class Door(NamedTuple):
    """What a daemon says of itself in its home."""

    socket: Path
    is_embedded: bool = False  # it was started by the way, and speaks here only


def write_door(home: Home, door: Door) -> None:
    kind = b"embedded" if door.is_embedded else b"open"
    write_whole(home.door, os.fsencode(door.socket) + b"\n" + kind + b"\n")


def known_door(home: Home, environment: Mapping[str, str] = os.environ) -> Door | None:
    """Where its daemon says that the door is; None: none ever said so, or it has ended in order."""
    named = environment.get("ODYSSEY_SOCKET", "")
    try:
        lines = home.door.read_bytes().split(b"\n")
    except OSError:
        lines = []
    is_embedded = lines[1:2] == [b"embedded"]
    if named:
        return Door(_short_enough(Path(named)), is_embedded)
    if not lines or not lines[0].startswith(b"/"):
        return None
    return Door(Path(os.fsdecode(lines[0])), is_embedded)


def known_socket(home: Home, environment: Mapping[str, str] = os.environ) -> Path | None:
    door = known_door(home, environment)
    return None if door is None else door.socket
