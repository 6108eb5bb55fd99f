"""What happens to the mesh as a whole: its feature level, its policy, the start of a term.

Promises: the level only rises, and only to what every member understands.
Never: knows which policies exist: others may add theirs, so an unknown name is the planner's to report.
"""

from odyssey.commands import NEWEST_LEVEL, ChangeMembers, Entry, SetLevel, SetPolicy, StartTerm
from odyssey.events import ChangedNothing, Event, LevelSet, MembersChanged, PolicySet, TermStarted
from odyssey.scheduler.draft import Draft, replace
from odyssey.scheduler.score import MAX_WEIGHT, TERMS
from odyssey.scheduler.transitions.base import Refused


def set_level(draft: Draft, entry: Entry, command: SetLevel) -> list[Event]:
    if not 1 <= command.level <= NEWEST_LEVEL:
        raise Refused("bad-level", f"feature level {command.level} is not known here", "upgrade this machine")
    for node in draft.state.nodes.values():
        if node.level < command.level and not node.removed:
            raise Refused("bad-level", f"{node.name} understands only level {node.level}", f"upgrade {node.name} first")
    if command.level <= draft.head.level:
        return [ChangedNothing(entry.index)]
    draft.head = replace(draft.head, level=command.level)
    return [LevelSet(entry.index, command.level)]


def set_policy(draft: Draft, entry: Entry, command: SetPolicy) -> list[Event]:
    if not command.name.isidentifier():
        raise Refused("bad-policy", f"{command.name[:40]!r} is not the name of a policy", "see: odyssey policy")
    for term, weight in command.weights:
        if term not in TERMS:
            raise Refused("bad-policy", f"{term[:40]!r} is not a term of the score", f"terms are: {', '.join(TERMS)}")
        if not 0 <= weight <= MAX_WEIGHT:
            raise Refused("bad-policy", f"the weight {weight} of {term} is out of range", f"use 0 to {MAX_WEIGHT}")
    weights = tuple(sorted(dict(command.weights).items()))
    if (command.name, weights) == (draft.head.policy, draft.head.weights):
        return [ChangedNothing(entry.index)]
    draft.head = replace(draft.head, policy=command.name, weights=weights)
    return [PolicySet(entry.index, command.name)]


def change_members(draft: Draft, entry: Entry, command: ChangeMembers) -> list[Event]:
    return [MembersChanged(entry.index, command.voters, command.learners)]


def start_term(draft: Draft, entry: Entry, command: StartTerm) -> list[Event]:
    return [TermStarted(entry.index, command.fence.generation, command.fence.term)]
