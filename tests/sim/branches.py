"""What must hold, by generation: a recovery begins a branch of history, and the old one may go on for a while.

Promises: a new branch knows all that was true up to its fork, and nothing of what its parent has done since.
Never: lets one generation's checks see what another one's machines do.
"""

from dataclasses import dataclass, field

from odyssey.mesh.generation import Charter, Generation, Lineage
from tests.sim.checks import Checks
from tests.sim.home import GENERATION
from tests.sim.results import Results


@dataclass
class Branch:
    checks: Checks = field(default_factory=Checks)
    results: Results = field(default_factory=Results)
    has_led: bool = False  # somebody has coordinated this generation

    def fork(self, charter: Charter) -> "Branch":
        index = charter.fork.index
        return Branch(self.checks.fork(index, charter.term), self.results.fork(index))


class Branches:
    def __init__(self) -> None:
        self.known: dict[Generation, Branch] = {GENERATION: Branch()}
        self.forks: list[Charter] = []

    @property
    def root(self) -> Branch:
        return self.known[GENERATION]

    @property
    def first_fork(self) -> int | None:
        """What came after it may be missing in the end: so it was told to whoever recovered."""
        return min((charter.fork.index for charter in self.forks), default=None)

    def of(self, lineage: Lineage) -> Branch:
        for charter in lineage.charters:
            if charter.generation not in self.known:
                self.known[charter.generation] = self.known[charter.parent].fork(charter)
                self.forks.append(charter)
        return self.known[lineage.tip]

    def has_rivals(self, generation: Generation) -> bool:
        """Another one has a coordinator that this one does not come from: two sides of a cut, or an old anchor is
        back."""
        newer = any(branch.has_led and one > generation for one, branch in self.known.items())
        twins = [one for one in self.known if one.number == generation.number]
        return newer or len(twins) > 1
