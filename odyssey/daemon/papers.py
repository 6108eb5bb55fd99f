"""What this machine has in its hands of who belongs: its certificate and its trust set, in memory and on its disk.

Promises: what is new is on the disk before anything relies on it; who was put out stays so after a restart.
Never: renews anything by itself.
"""

from __future__ import annotations

from msgspec.structs import replace

from odyssey.clock import Entropy
from odyssey.mesh.company import Company
from odyssey.mesh.trust.certificates import Certificate
from odyssey.mesh.trust.standing import Standing, own_issuer, save
from odyssey.paths import Home


class Papers:
    def __init__(self, home: Home, standing: Standing, company: Company) -> None:
        self.home, self._standing, self._company = home, standing, company
        self._mine = standing.mine()

    @property
    def standing(self) -> Standing:
        return self._standing

    @property
    def mine(self) -> Certificate:
        """Looked at often, so it is verified once."""
        return self._mine

    def issues(self, now: int) -> bool:
        """It lets machines in now. Asked with every question, so nothing is verified again for it."""
        key = self._standing.issuer
        return key is not None and any(one.key == key.public for one in self._company.roster.trust.issuers(now))

    def is_knocked_at(self, now: int) -> bool:
        """It lets machines in, or would by another clock: then it is heard at the door, and says what time it has."""
        key = self._standing.issuer
        known = self._company.roster.trust.known_issuers()
        return key is not None and any(one.key == key.public and now < one.expiry for one in known)

    def offer(self, entropy: Entropy) -> bytes:
        """The public half of a key with which this machine would let others in."""
        self._standing = own_issuer(self.home, self._standing, entropy)
        assert self._standing.issuer is not None
        return self._standing.issuer.public

    def keep_own(self) -> None:
        """A machine that lets in has certified this one anew: it may do something else now."""
        entry = self._company.roster.entry(self._company.me)
        if entry is None or entry.certificate.not_before <= self._mine.not_before:
            return
        if (entry.certificate.key, entry.certificate.curve) == (self._mine.key, self._mine.curve):
            self.take(entry.data)

    def keep_trust(self) -> None:
        """All that was heard, whoever said it."""
        known, trust = self._standing.known, self._company.roster.trust
        if trust.size > len(known.items):  # it only grows
            self._standing = save(self.home, self._standing._replace(known=replace(known, items=trust.items)))

    def take(self, certificate: bytes) -> None:
        """A new one of this machine, with what makes others believe it."""
        known = replace(self._standing.known, certificate=certificate, items=self._company.roster.trust.items)
        self.adopt(save(self.home, self._standing._replace(known=known)))

    def adopt(self, standing: Standing) -> None:
        """One that is on the disk."""
        self._standing, self._mine = standing, standing.mine()
        self._company.hear((standing.known.certificate,), standing.known.items)
