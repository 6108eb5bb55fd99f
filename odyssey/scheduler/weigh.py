"""What a machine weighs: its score for a task as most are, which asks for one cpu and a little memory.

Promises: the planner's own policy and filters, on the same data; the terms add up to the score.
Never: says what a certain job would find: that is `explain`'s.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from odyssey.ids import NodeNumber, UserId
from odyssey.resources import M, Resources
from odyssey.scheduler.board import Board
from odyssey.scheduler.feasible import Reason, closed, full
from odyssey.scheduler.plan import policy_of
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.score import NO_INPUTS
from odyssey.scheduler.snapshot import Snapshot
from odyssey.spec import Want

REFERENCE: Final = Want(Resources(1000, 512 * M))


class Weight(NamedTuple):
    policy: str
    parts: Mapping[str, int]
    reason: Reason | None  # why it would not take the task now


def weigh(
    snapshot: Snapshot, number: NodeNumber, user: UserId, policies: Mapping[str, Policy] = BUILT_IN
) -> Weight | None:
    """None: there is no such machine."""
    policy, weights = policy_of(snapshot, policies)
    board = Board()
    board.sync(snapshot, policy, weights)
    row = board.rows.get(number)
    if row is None:
        return None
    wish = board.wish(snapshot, user, REFERENCE)
    return Weight(policy.name, policy.parts(weights, wish, row, NO_INPUTS), closed(wish, row) or full(wish, row))
