"""What must hold, by generation: a recovery begins a branch of history, and the old one may go on for a while.

Promises: a new branch knows all that was true up to its fork, and nothing of what its parent has done since.
Never: lets one generation's checks see what another one's machines do.
"""

from dataclasses import dataclass, field

from odyssey.mesh.generation import Charter, Generation, Lineage
from tests.sim.checks import Checks
from tests.sim.disk import Durable
from tests.sim.history import Departed
from tests.sim.home import GENERATION
from tests.sim.results import Results


@dataclass
class Branch:
    checks: Checks = field(default_factory=Checks)
    results: Results = field(default_factory=Results)
    departed: Departed = field(default_factory=Departed)

    def fork(self, index: int, term: int) -> "Branch":
        return Branch(self.checks.fork(index, term), self.results.fork(index), self.departed.fork(index))


class Branches:
    def __init__(self) -> None:
        self.known: dict[Generation, Branch] = {GENERATION: Branch()}
        self.forks: list[Charter] = []
        self.shared: list[int] = []  # how far each goes on with what was agreed on before

    @property
    def root(self) -> Branch:
        return self.known[GENERATION]

    @property
    def first_fork(self) -> int | None:
        """What came after it may be missing in the end: so it was told to whoever recovered."""
        return min(self.shared, default=None)

    def of(self, lineage: Lineage) -> Branch:
        return self.known[lineage.tip]

    def begin(self, charter: Charter, held: Durable) -> None:
        """`held` is the founder's log. It may lack what its generation began with, or end in what was never agreed on:
        then people were told that something may be missing."""
        if charter.generation in self.known:
            return
        parent = self.known[charter.parent]
        shared = min(charter.fork.index, parent.checks.last_committed)
        while shared > held.snapshot.index and held.term(shared) != parent.checks.committed[shared][0]:
            shared -= 1
        self.known[charter.generation] = parent.fork(shared, charter.term)
        self.forks.append(charter)
        self.shared.append(shared)

    def has_rivals(self, generation: Generation) -> bool:
        """To be asked when somebody wins an election there: another generation has begun that this one does not come
        from. So an old anchor is back, though somebody said that it is off, or there are two sides of a cut."""
        return any(one > generation or (one != generation and one.number == generation.number) for one in self.known)
