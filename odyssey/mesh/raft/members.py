"""Who counts: majorities, and which change of members is safe.

One voter more or less at a time: any majority before and any majority after then share a voter, so that two leaders of
one term cannot both be elected. That argument needs the change before to be settled, which is the core's part.

Promises: pure functions of what they are given.
Never: asks who is alive. That is the roles' question.
"""

from collections.abc import Collection, Iterable, Mapping

from odyssey.mesh.raft.types import Config, Member


def is_majority(count: int, voters: int) -> bool:
    return count * 2 > voters


def quorum_value(values: Iterable[int]) -> int:
    """The highest value that a majority has reached."""
    ordered = sorted(values, reverse=True)
    return ordered[len(ordered) // 2] if ordered else 0


def verdict(votes: Mapping[Member, bool], voters: Collection[Member]) -> bool | None:
    """Whether an election is won; None while it is open. Only voters count, whoever else may have answered."""
    answers = [votes[voter] for voter in voters if voter in votes]
    if is_majority(answers.count(True), len(voters)):
        return True
    return None if is_majority(len(voters) - answers.count(False), len(voters)) else False


def why_unsafe(now: Config, wanted: Config) -> str:
    """What is wrong with this change, or nothing."""
    machines = [member.node for member in wanted.members]
    if not wanted.voters:
        return "nobody would vote"
    if len(set(machines)) != len(machines):
        return "a machine would be there twice; a new store joins after the old one left"
    if len(set(now.voters) ^ set(wanted.voters)) > 1:
        return "more than one voter changes"
    for member in set(wanted.voters) - {*now.voters, *now.learners}:
        return f"{member.node} has not learnt the log yet"
    return ""
