"""All mutants, in the order in which they are told."""

from __future__ import annotations

from typing import Final

from tests.mutants import (
    archiving,
    attacks,
    counter,
    daemon,
    discovery,
    disk,
    driving,
    grants,
    hands,
    joining,
    keeping,
    lasting,
    lease,
    links,
    lives,
    members,
    process,
    raft_log,
    raft_members,
    recovery,
    replica,
    salvage,
    shell,
    state,
    terminals,
    trust,
)
from tests.mutants.table import Mutant

MUTANTS: Final[tuple[Mutant, ...]] = (
    *raft_log.MUTANTS,
    *raft_members.MUTANTS,
    *replica.MUTANTS,
    *members.MUTANTS,
    *lease.MUTANTS,
    *grants.MUTANTS,
    *links.MUTANTS,
    *state.MUTANTS,
    *lives.MUTANTS,
    *disk.MUTANTS,
    *discovery.MUTANTS,
    *keeping.MUTANTS,
    *daemon.MUTANTS,
    *driving.MUTANTS,
    *recovery.MUTANTS,
    *archiving.MUTANTS,
    *hands.MUTANTS,
    *shell.MUTANTS,
    *salvage.MUTANTS,
    *counter.MUTANTS,
    *process.MUTANTS,
    *lasting.MUTANTS,
    *trust.MUTANTS,
    *attacks.MUTANTS,
    *joining.MUTANTS,
    *terminals.MUTANTS,
)
