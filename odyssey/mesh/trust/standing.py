"""What a machine has of trust on its disk: its keys, its certificate, and what it knows of the mesh's root.

A founder makes a root key, an issuer's key that the root allows, and its own certificate, signed by that issuer. A
machine that joined has its own keys and what it was given. All is in the `identity` folder of the home: `curve`,
`trust`, and where they are, `issuer` and `root`. The root key may be taken away to a safe place; then issuers go on by
each other.

Promises: the file `trust` is there whole or not at all, and is written last: without it nothing has relied on the keys.
A founder's own certificates are made again when half of their time is over.
Never: loads cryptography to read what is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from odyssey import wire
from odyssey.clock import Entropy
from odyssey.errors import OdysseyError, WireError
from odyssey.ids import UserId
from odyssey.mesh.sidefiles import refused
from odyssey.mesh.trust import keyfile
from odyssey.mesh.trust.certificates import (
    ALL,
    ISSUER_MS,
    MEMBER_MS,
    SERIAL_BYTES,
    Certificate,
    Issuer,
    fingerprint,
    is_due,
    node_id,
)
from odyssey.mesh.trust.keyfile import BadKey, Use
from odyssey.mesh.trust.primitives import KEY_BYTES, Pair, curve_pair, signing_pair
from odyssey.mesh.trust.signed import Purpose, opened, purpose_of, sealed
from odyssey.mesh.trust.trustset import TrustSet
from odyssey.paths import Home, write_whole
from odyssey.wire import Limits

_FILE: Final = Limits(bytes=32 << 20, array=32_768, map=0, str=256, bin=1 << 10, depth=4)
_SUM: Final = 4
_HINT: Final = "put its copy back; or odyssey leave --clean, then join again with an invite"


class Known(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The file `trust`."""

    mesh: bytes
    root: bytes
    certificate: bytes  # of this machine
    items: tuple[bytes, ...]  # of its trust set


class Standing(NamedTuple):
    """Who this machine is for others. Links are made of this."""

    known: Known
    node: Pair
    curve: Pair
    issuer: Pair | None = None  # it may let machines in
    root: Pair | None = None

    def trust(self) -> TrustSet:
        """Verified anew."""
        trust = TrustSet(self.known.mesh, self.known.root)
        trust.take_all(self.known.items)
        return trust

    def mine(self) -> Certificate:
        return opened(self.known.certificate, Certificate)

    def issuing(self, now: int) -> Issuer | None:
        """By which it lets machines in now."""
        if self.issuer is None:
            return None
        found = [one for one in self.trust().issuers(now) if one.key == self.issuer.public]
        return max(found, key=lambda one: one.expiry, default=None)

    def newest(self) -> Issuer | None:
        """By which it lets machines in, at whatever time: to say who it is, also when its clock is wrong."""
        if self.issuer is None:
            return None
        records = [opened(data, Issuer) for data in self.known.items if purpose_of(data) == Purpose.ISSUER]
        mine = [one for one in records if one.key == self.issuer.public]
        return max(mine, key=lambda one: one.expiry, default=None)


# -- founding ----------------------------------------------------------------------------------------------------------


def found(home: Home, mesh: bytes, node: Pair, name: str, owner: UserId, now: int, entropy: Entropy) -> Standing:
    """As often as it is interrupted: keys that are there are used."""
    root = _own(home.root, Use.ROOT, entropy)
    issuer = _own(home.issuer, Use.ISSUER, entropy)
    curve = own_curve(home, entropy)
    item = _issuer(mesh, root, issuer, node, curve, now, entropy)
    mine = Certificate(
        *(mesh, issuer.public, entropy.token(SERIAL_BYTES), node.public, curve.public, name),
        *(int(ALL), owner, now, now + MEMBER_MS),
    )
    return save(home, Standing(Known(mesh, root.public, sealed(mine, issuer), (item,)), node, curve, issuer, root))


def _issuer(mesh: bytes, root: Pair, issuer: Pair, node: Pair, curve: Pair, now: int, entropy: Entropy) -> bytes:
    record = Issuer(
        *(mesh, root.public, entropy.token(SERIAL_BYTES), node_id(node.public), issuer.public, curve.public),
        *(int(ALL), now, now + ISSUER_MS),
    )
    return sealed(record, root)


def own_issuer(home: Home, standing: Standing, entropy: Entropy) -> Standing:
    """A key with which this machine would let others in. One that was taken back is never used again."""
    issuer = standing.issuer
    if issuer is not None and standing.trust().is_revoked(node_id(issuer.public)):
        home.issuer.unlink(missing_ok=True)
    return standing._replace(issuer=_own(home.issuer, Use.ISSUER, entropy))


def own_curve(home: Home, entropy: Entropy) -> Pair:
    """Also of a machine that is about to join."""
    return _own(home.curve, Use.CURVE, entropy)


def _own(path: Path, use: Use, entropy: Entropy) -> Pair:
    try:
        return keyfile.load(path, use)
    except FileNotFoundError:
        seed = entropy.token(KEY_BYTES)
        pair = curve_pair(seed) if use is Use.CURVE else signing_pair(seed)
        keyfile.save(path, use, pair)
        return pair


def refreshed(home: Home, standing: Standing, now: int, entropy: Entropy) -> Standing:
    """What this machine can renew by itself, renewed and saved; the same standing where nothing is due. A machine that
    did not found the mesh asks an issuer."""
    issuer, root, known, mine = standing.issuer, standing.root, standing.known, standing.mine()
    if issuer is None or mine.signer != issuer.public:
        return standing
    if standing.trust().is_revoked(mine.node):
        return standing
    issuing = standing.issuing(now)
    is_late = issuing is None or is_due(issuing.not_before, issuing.expiry, now)
    if root is not None and is_late:
        item = _issuer(known.mesh, root, issuer, standing.node, standing.curve, now, entropy)
        known = msgspec.structs.replace(known, items=(*known.items, item))
    elif issuing is None:
        return standing  # it is none any more, and the root is not here
    if mine.is_due(now):
        mine = msgspec.structs.replace(mine, serial=entropy.token(SERIAL_BYTES), not_before=now, expiry=now + MEMBER_MS)
        known = msgspec.structs.replace(known, certificate=sealed(mine, issuer))
    return standing if known is standing.known else save(home, standing._replace(known=known))


# -- on the disk -------------------------------------------------------------------------------------------------------


def save(home: Home, standing: Standing) -> Standing:
    data = wire.encode_log(standing.known, _FILE)
    try:
        home.trust.parent.mkdir(mode=0o700, exist_ok=True)
        write_whole(home.trust, crc32(data).to_bytes(_SUM, "big") + data)
    except OSError as error:
        raise refused(home.trust, error) from error
    return standing


def load(home: Home, node: Pair, anchor: bytes) -> Standing:
    """`anchor` is the fingerprint of the root by which this machine came into its mesh."""
    known = _read(home.trust)
    if fingerprint(known.root) != anchor:
        raise BadKey(f"{home.trust} is of another mesh", hint=_HINT)
    try:
        curve = keyfile.load(home.curve, Use.CURVE)
    except FileNotFoundError as error:
        raise BadKey(f"the key {home.curve} is gone", hint=_HINT) from error
    return Standing(known, node, curve, _perhaps(home.issuer, Use.ISSUER), _perhaps(home.root, Use.ROOT))


def certificate(home: Home) -> Certificate | None:
    """Of this machine; None: it has none. Raises BadKey or Untrusted where it has one that cannot be used."""
    return opened(_read(home.trust).certificate, Certificate) if home.trust.exists() else None


def is_of(home: Home, anchor: bytes) -> bool:
    """Is there a trust of the mesh with this root? False also where it cannot be read."""
    try:
        return fingerprint(_read(home.trust).root) == anchor
    except BadKey:
        return False


def _perhaps(path: Path, use: Use) -> Pair | None:
    try:
        return keyfile.load(path, use)
    except FileNotFoundError:
        return None


def _read(path: Path) -> Known:
    try:
        text = keyfile.read_private(path, _FILE.bytes, _HINT)
    except FileNotFoundError as error:
        raise BadKey(f"{path} is gone: this machine does not know whom to believe", hint=_HINT) from error
    try:
        if crc32(text[_SUM:]).to_bytes(_SUM, "big") != text[:_SUM]:
            raise WireError("its checksum is another one")
        return wire.decode_log(text[_SUM:], Known, _FILE)
    except OdysseyError as error:
        raise BadKey(f"{path} cannot be read: {error.message}", hint=_HINT) from error
