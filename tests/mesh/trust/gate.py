"""A join socket without a socket: one issuer with its log, visitors, and everything that was said, to be said again.

Promises: the log is the real state machine; both sides are the real ones.
Never: tells one side what only the other knows.
"""

from __future__ import annotations

import msgspec

from odyssey.clock import SeededEntropy
from odyssey.commands import AdmitMember, MakeInvite, RenewMember, SetLevel
from odyssey.errors import UsageError
from odyssey.events import CommandRefused
from odyssey.mesh.trust.certificates import DAY_MS, Issuer, Terms, invite_key_hash
from odyssey.mesh.trust.invite import Address, Invite, made
from odyssey.mesh.trust.join_client import Caller, JoinClient, Joined, RenewClient
from odyssey.mesh.trust.join_server import Answer, JoinServer, Porter, Visit
from odyssey.mesh.trust.letters import Peer
from odyssey.mesh.trust.signed import opened
from odyssey.mesh.trust.trustset import TrustSet
from tests.builders import Mesh
from tests.mesh.trust.people import NOW, Realm, curve, key


class Gate:
    def __init__(self, realm: Realm | None = None, name: str = "gamebox", trust: TrustSet | None = None) -> None:
        self.realm, self.name, self.now = realm or Realm(), name, NOW
        self.trust = trust or self.realm.trust(self.realm.issuer(name))
        self.log = Mesh()
        self.log.machine(level=2)
        self.log.do(SetLevel(self.log.fence, 2))
        self.peers: tuple[Peer, ...] = ()
        self.entropy = SeededEntropy(7)
        self.porter = self._porter()

    def _porter(self) -> Porter:
        own = key(f"{self.name}/issuer")
        sources = [data for data in self.trust.items if b"issuer" in data[:12]]
        issuer = next(one for one in (opened(data, Issuer) for data in sources) if one.key == own.public)
        state = self.log.state
        return Porter(
            *(self.trust, issuer, own, "anna's mesh", state.invites.get, state.members.get),
            *(lambda: self.peers, self.entropy),
        )

    def invite(self, uses: int = 1, **fields: object) -> Invite:
        """Made and on the log."""
        invite = made(self.realm.root.public, curve(self.name).public, [Address("10.0.0.1", 7660)], self.entropy)
        data = self.terms(invite, uses=uses, **fields)
        self.log.do(MakeInvite(invite.id, data, uses, self.now + DAY_MS))
        return invite

    def terms(self, invite: Invite, **fields: object) -> bytes:
        plain = opened(self.realm.terms(by=self.name, at=self.now), Terms)
        held = {"id": invite.id, "key_hash": invite_key_hash(invite.key().public)} | fields
        return self.realm.signed(msgspec.structs.replace(plain, **held), key(f"{self.name}/issuer"))

    def visit(self, name: str = "pi") -> JoinServer:
        """Somebody connects, with the curve key of this name."""
        return JoinServer(self.porter, curve(name).public)

    def hears(self, server: Visit, data: bytes) -> Answer:
        """What a driver does: what is proposed goes onto the log."""
        answer = server.step(data, self.now)
        return answer if answer.propose is None else server.decided(self.takes(answer.propose))

    def takes(self, command: AdmitMember | RenewMember) -> UsageError | None:
        (event,) = self.log.do(command)
        return UsageError(event.text, hint=event.hint) if isinstance(event, CommandRefused) else None

    def joins(self, invite: Invite, name: str = "pi", now: int = 0) -> Joined:
        client = JoinClient(invite, "pi4", key(name), curve(name).public, curve(self.name).public)
        return self.talk(client, self.visit(name), now)

    def renews(self, trust: TrustSet, certificate: bytes, name: str = "pi") -> Joined:
        client = RenewClient(trust, certificate, key(name), curve(name).public, curve(self.name).public)
        return self.talk(client, self.visit(name))

    def talk(self, client: Caller, server: JoinServer, now: int = 0) -> Joined:
        said = [client.begin()]
        self.heard: list[bytes] = []  # all that travelled
        while said:
            data = said.pop(0)
            self.heard.append(data)
            for reply in self.hears(server, data).say:
                self.heard.append(reply)
                answer = client.step(reply, now or self.now)
                if answer.joined is not None:
                    return answer.joined
                said += [answer.say] if answer.say else []
        raise AssertionError("nobody says anything any more")
