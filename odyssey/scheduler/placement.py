"""Why did it go there? Told from the record that was kept when it was decided.

Promises: the terms add up to the scores; the counterfactual is arithmetic on the record, so it is true of that moment.
Never: asks today's machines about yesterday's decision.
"""

from typing import NamedTuple

from odyssey.ids import NodeNumber
from odyssey.model import Attempt, Try
from odyssey.scheduler.decision import Decision, decode
from odyssey.scheduler.feasible import Code


class Ranked(NamedTuple):
    node: NodeNumber
    score: int
    parts: dict[str, int]


class Flip(NamedTuple):
    """The runner-up would have been ahead if this term had counted for at most so many percent of what it did."""

    term: str
    percent: int


class Placement(NamedTuple):
    node: NodeNumber
    score: int
    policy: str
    ranked: tuple[Ranked, ...]  # best first, as things stood before the first of the equal tasks was placed
    excluded: tuple[tuple[Code, int], ...]
    runner_up: NodeNumber | None
    margin: int | None
    flip: Flip | None
    expected_ms: int
    moved: int
    term: int  # of the coordinator that decided; 0: not kept
    by: NodeNumber  # the machine it was; 0: not kept


def placement(attempt: Attempt | Try) -> Placement | None:
    """None when no record was kept."""
    decision = decode(attempt.why)
    if decision is None:
        return None
    ranked = _ranked(decision)
    chosen = next((one for one in ranked if one.node == attempt.node), None)
    other = next((one for one in ranked if one.node != attempt.node), None)
    compared = chosen is not None and other is not None and _ahead(chosen, other)
    return Placement(
        attempt.node,
        attempt.score,
        decision.policy,
        ranked,
        tuple((Code(code), count) for code, count in decision.excluded),
        other.node if other is not None else None,
        chosen.score - other.score if chosen is not None and other is not None and compared else None,
        flip(chosen, other) if chosen is not None and other is not None and compared else None,
        decision.expected_ms,
        decision.moved,
        decision.term,
        decision.by,
    )


def _ranked(decision: Decision) -> tuple[Ranked, ...]:
    return tuple(
        Ranked(one.node, one.score, {term: part for term, part in zip(decision.terms, one.parts, strict=True) if part})
        for one in decision.top
    )


def _ahead(one: Ranked, other: Ranked) -> bool:
    """Of equal scores the machine with the lower number wins."""
    return (-one.score, one.node) < (-other.score, other.node)


def flip(chosen: Ranked, other: Ranked) -> Flip | None:
    """The term that decided: the one whose weight would have had to change least for the other to be ahead."""
    margin = chosen.score - other.score
    tie_loses = int(chosen.node < other.node)
    best: Flip | None = None
    for term in sorted({*chosen.parts, *other.parts}):
        lead = chosen.parts.get(term, 0) - other.parts.get(term, 0)
        if lead <= 0:
            continue
        percent = (100 * (lead - margin) - tie_loses) // lead
        if percent >= 0 and (best is None or percent > best.percent):
            best = Flip(term, percent)
    return best
