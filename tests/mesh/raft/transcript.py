"""Scenarios as text: blocks of commands, a line of dashes, and the transcript they must give.

    # why this is worth a scenario
    timeout 2
    deliver 2>3 pre-vote
    ----
    2 is pre-candidate, term 1
    2 > 1 pre-vote term 2, log at 3/1

The commands stand in the table `COMMANDS`. `quietly COMMAND` leaves out what the command causes. A link is `1>2`, `1>`
or `>2`; a kind is one of `words.kind_of`. What a command may not do is told as `refused: …`.

Promises: the same file gives the same transcript everywhere.
Never: forgives what `watch` finds: that ends the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from odyssey.mesh.raft.types import Busy, ConfigRefused, NotLeader, Outgoing, Write
from tests.mesh.raft import words
from tests.mesh.raft.cluster import Cluster, Parcel
from tests.mesh.raft.machine import member, name_of

DASHES: Final = "----"


class Block(NamedTuple):
    head: list[str]  # comments and commands, as they stand
    expected: list[str]

    @property
    def commands(self) -> list[str]:
        return [line for line in self.head if line.strip() and not line.startswith("#")]


def blocks(text: str) -> Iterator[Block]:
    """The transcript of a block ends with an empty line."""
    head: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line != DASHES:
            head.append(line)
            continue
        expected = []
        for transcript in lines:
            if not transcript:
                break
            expected.append(transcript)
        yield Block(head, expected)
        head = []
    if any(line.strip() for line in head):
        raise ValueError(f"no line of dashes after {head[-1]!r}")


def rewritten(text: str) -> str:
    """The same scenario with the transcripts it gives now."""
    player = Player()
    played = [[*block.head, DASHES, *player.play(block.commands), ""] for block in blocks(text)]
    return "\n".join("\n".join(lines) for lines in played)


class Player:
    def __init__(self) -> None:
        self.cluster = Cluster("")
        self.lines: list[str] = []
        self.quiet = False

    def play(self, commands: list[str]) -> list[str]:
        """What these commands cause, in order."""
        self.lines = []
        for line in commands:
            self._command(line.split("#")[0].split())
        return self.lines or ["ok"]

    def _command(self, line: list[str]) -> None:
        self.quiet = line[0] == "quietly"
        name, *words_after = line[self.quiet :]
        try:
            COMMANDS[name](self, words_after)
        except (Busy, ConfigRefused, NotLeader) as refusal:
            self.lines.append(f"refused: {refusal}")

    def told(self, name: str, what: str, about: object) -> None:
        if self.quiet:
            return
        match about:
            case Outgoing():
                self.lines.append(f"{name} > {name_of(about.to)} {words.said(about.message)}")
            case Parcel():
                self.lines.append(f"{name} < {name_of(about.message.sender)} {words.said(about.message)}")
            case Write():
                self.lines.append(f"{name} writes {words.written(about)}")
            case tuple():
                self.lines.append(f"{name} applies {words.entries(about)}")
            case _:
                self.lines.append(f"{name} {what} {about}")

    # -- commands ------------------------------------------------------------------------------------------------------

    def members(self, args: list[str]) -> None:
        self.cluster = Cluster(" ".join(args), tell=self.told)

    def machine(self, args: list[str]) -> None:
        self.cluster.add(args[0])

    def tick(self, args: list[str]) -> None:
        times = int(args.pop()[1:]) if args[-1].startswith("x") else 1
        self.cluster.tick(" ".join(args), times)

    def elect(self, args: list[str]) -> None:
        """`elect 1`: all hear of it; `elect 1 by 2 3`: only these, and its first words are still on the wire."""
        if len(args) == 1:
            self.cluster.elect(args[0])
        else:
            self.cluster.elect_by(args[0], " ".join(args[2:]))

    def propose(self, args: list[str]) -> None:
        self.cluster.propose(*args)

    def config(self, args: list[str]) -> None:
        self.cluster.reconfigure(args[0], " ".join(args[1:]))

    def transfer(self, args: list[str]) -> None:
        self.cluster.run(args[0], lambda core: core.transfer(member(args[1])))

    def step_down(self, args: list[str]) -> None:
        self.cluster.run(args[0], lambda core: core.step_down())

    def confirm(self, args: list[str]) -> None:
        self.cluster.run(args[0], lambda core: self.lines.append(f"{args[0]} asks in round {core.confirm()}"))

    def standby(self, args: list[str]) -> None:
        """`standby 1 2`: 2 is in step; `standby 1`: nobody is."""

        def act(core: object) -> None:
            self.cluster.core(args[0]).in_step = frozenset(map(member, args[1:]))

        self.cluster.run(args[0], act)

    def slow(self, args: list[str]) -> None:
        for node in args:
            self.cluster.machines[node].slow = True

    def fast(self, args: list[str]) -> None:
        for node in args:
            self.cluster.machines[node].slow = False
            self.cluster.written(node)

    def written(self, args: list[str]) -> None:
        self.cluster.written(args[0])

    def crash(self, args: list[str]) -> None:
        self.cluster.crash(args[0], after_write=args[1:] == ["after", "write"])

    def restart(self, args: list[str]) -> None:
        self.cluster.restart(args[0])

    def roll_back(self, args: list[str]) -> None:
        self.cluster.roll_back(args[0], int(args[1]))

    def cut(self, args: list[str]) -> None:
        self.cluster.cut(*" ".join(args).split("|"))

    def heal(self, args: list[str]) -> None:
        self.cluster.heal()

    def picked(self, args: list[str]) -> list[Parcel]:
        """Those on the wire that match a link, a kind, both or neither."""
        sender, _, to = next((word for word in args if ">" in word), ">").partition(">")
        kinds = {word for word in args if ">" not in word}
        return [
            parcel
            for parcel in self.cluster.wire
            if sender in ("", parcel.sender)
            and to in ("", parcel.to)
            and (not kinds or words.kind_of(parcel.message) in kinds)
        ]

    def deliver(self, args: list[str]) -> None:
        self.cluster.deliver([parcel for parcel in self.picked(args) if not parcel.held])

    def release(self, args: list[str]) -> None:
        """Deliver what was held back."""
        self.cluster.deliver([parcel for parcel in self.picked(args) if parcel.held])

    def drop(self, args: list[str]) -> None:
        for parcel in self.picked(args):
            if not parcel.held:
                self.cluster.wire.remove(parcel)

    def hold(self, args: list[str]) -> None:
        for parcel in self.picked(args):
            parcel.held = True

    def double(self, args: list[str]) -> None:
        """A second copy, held back."""
        for parcel in self.picked(args):
            self.cluster.wire.append(Parcel(parcel.sender, parcel.to, parcel.message, held=True))

    def on_the_wire(self, args: list[str]) -> None:
        for parcel in self.cluster.wire:
            held = " (held)" if parcel.held else ""
            self.lines.append(f"{parcel.sender} > {parcel.to} {words.said(parcel.message)}{held}")

    def show(self, args: list[str]) -> None:
        for node in args or self.cluster.machines:
            machine = self.cluster.machines[node]
            self.lines.append(words.shown(machine.name, machine.core) if machine.up else f"{machine.name}: down")

    def log(self, args: list[str]) -> None:
        for node in args or self.cluster.machines:
            machine = self.cluster.machines[node]
            self.lines.append(f"{machine.name}: {words.entries(machine.core.log.all())}")

    def state(self, args: list[str]) -> None:
        for node in args or self.cluster.machines:
            self.lines.append(f"{node}: {self.cluster.state(node)}")


def _each(act: Callable[[Cluster, str], None]) -> Callable[[Player, list[str]], None]:
    """A command that is done to each machine it names."""

    def command(player: Player, args: list[str]) -> None:
        for node in args:
            act(player.cluster, node)

    return command


COMMANDS: Final[dict[str, Callable[[Player, list[str]], None]]] = {
    # who there is
    "members": Player.members,
    "machine": Player.machine,
    "replace": _each(Cluster.replace),
    # what a machine does
    "tick": Player.tick,
    "timeout": _each(Cluster.timeout),
    "elect": Player.elect,
    "propose": Player.propose,
    "config": Player.config,
    "transfer": Player.transfer,
    "step-down": Player.step_down,
    "confirm": Player.confirm,
    "standby": Player.standby,
    "compact": _each(lambda cluster, node: cluster.compact(node)),
    "install": _each(Cluster.install),
    # its disk
    "slow": Player.slow,
    "fast": Player.fast,
    "written": Player.written,
    "crash": Player.crash,
    "restart": Player.restart,
    "roll-back": Player.roll_back,
    # the network
    "deliver": Player.deliver,
    "settle": lambda player, _: player.cluster.settle(),
    "drop": Player.drop,
    "hold": Player.hold,
    "release": Player.release,
    "double": Player.double,
    "cut": Player.cut,
    "heal": Player.heal,
    # looking
    "show": Player.show,
    "log": Player.log,
    "state": Player.state,
    "wire": Player.on_the_wire,
}
