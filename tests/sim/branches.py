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

    def fork(self, index: int) -> "Branch":
        return Branch(self.checks.fork(index), self.results.fork(index))


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
                self.known[charter.generation] = self.known[charter.parent].fork(charter.fork.index)
                self.forks.append(charter)
        return self.known[lineage.tip]

    def is_outlived(self, generation: Generation) -> bool:
        """A newer one has a coordinator: whoever still leads this one is an old anchor."""
        return any(branch.has_led and one > generation for one, branch in self.known.items())
