"""The filter of lists of jobs: one grammar for `ps`, `history`, and whatever else shows jobs.

    fit                          a word: in the name, the command, the user, the machine, the reason or a tag
    state:failed,cancelled       a key and what it may be, or begin with; `user:me` is who asks; `tag:k` and `tag:k=v`
    took>5m tries>=2 exit=1      a number, or a time where the key is one
    ~^fit-[0-9]+                 a regular expression, as a word is searched; name:~… in one key only
    !state:done                  not
    "two words", name:"a b"      with blanks in it

Whoever shows jobs judges them where they are shown: a regular expression must never hold up a daemon.

Promises: pure; all terms must hold; a mistake is told with its place and what would be right; judging never fails.
Never: asks anybody: what is not known of a job does not fit, and its opposite does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple

from odyssey.api import views as v
from odyssey.errors import OdysseyError, UsageError, echo
from odyssey.resources import parse_duration

MAX_LENGTH: Final = 1024
MAX_REGEX: Final = 128
ME: Final = "me"
_HINT: Final = "for example: state:failed fit took>5m !user:ben ~^sim"
_KEYED: Final = re.compile(r"([A-Za-z_]+)(:|>=|<=|=|>|<)")
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_MANY: Final = re.compile(r"[*+{][^)]*\)\s*[*+{]")  # one repetition within another takes for ever to say no


class Asked(NamedTuple):
    """Who asks, and when."""

    user: str = ""
    now_ms: int = 0


Test = Callable[[v.JobView, Asked], bool]


class Filter(NamedTuple):
    tests: tuple[Test, ...] = ()
    keys: frozenset[str] = frozenset()  # that it speaks of

    def fits(self, job: v.JobView, asked: Asked) -> bool:
        return all(test(job, asked) for test in self.tests)


class Term(NamedTuple):
    text: str
    place: int  # of its first character, from 1
    is_quoted: bool  # from its first character on


# -- what can be asked of a job ----------------------------------------------------------------------------------------


def _took(job: v.JobView, asked: Asked) -> int | None:
    if job.started_at is None:
        return None
    return max(0, (job.ended_at if job.ended_at is not None else asked.now_ms) - job.started_at)


TEXTS: Final[dict[str, Callable[[v.JobView], Sequence[str]]]] = {
    "state": lambda job: ("held", job.state) if job.is_held and job.state == "waiting" else (job.state,),
    "name": lambda job: (job.name,),
    "user": lambda job: (job.user,),
    "node": lambda job: (job.node,) if job.node is not None else (),
    "reason": lambda job: (job.reason,) if job.reason is not None else (),
    "command": lambda job: (job.command,),
    "tag": lambda job: tuple(text for key, value in job.tags for text in (f"{key}={value}", key)),
}
NUMBERS: Final[dict[str, Callable[[v.JobView, Asked], int | None]]] = {
    "id": lambda job, _: job.id,
    "exit": lambda job, _: job.exit_code,
    "tries": lambda job, _: job.tries,
    "priority": lambda job, _: job.priority,
    "tasks": lambda job, _: job.tasks.total,
    "waiting": lambda job, _: job.tasks.waiting,
    "running": lambda job, _: job.tasks.running,
    "done": lambda job, _: job.tasks.done,
    "failed": lambda job, _: job.tasks.failed,
}
TIMES: Final[dict[str, Callable[[v.JobView, Asked], int | None]]] = {
    "took": _took,
    "age": lambda job, asked: asked.now_ms - job.submitted_at,
}
KEYS: Final = (*TEXTS, *NUMBERS, *TIMES)
STATES: Final = (*v.JOB_STATES, "held")
_COMPARE: Final[dict[str, Callable[[int, int], bool]]] = {
    "=": lambda have, want: have == want,
    ":": lambda have, want: have == want,
    ">": lambda have, want: have > want,
    ">=": lambda have, want: have >= want,
    "<": lambda have, want: have < want,
    "<=": lambda have, want: have <= want,
}


def _everything(job: v.JobView) -> str:
    return "\n".join(text for key, texts in TEXTS.items() if key != "state" for text in texts(job))


# -- reading -----------------------------------------------------------------------------------------------------------


def parse(text: str, option: str = "--filter") -> Filter:
    """Raises what is wrong with it."""
    if len(text) > MAX_LENGTH:
        raise UsageError(f"{option} has {len(text)} characters, at most {MAX_LENGTH} are allowed", hint=_HINT)
    found = [_term(term, option) for term in _terms(text, option)]
    return Filter(tuple(test for _, test in found), frozenset(key for key, _ in found))


def quoted(key: str, value: str) -> str:
    """A term that means just this value, whatever signs are in it."""
    if '"' in value:
        raise UsageError(f"{key} {echo(value)} has a quotation mark in it", hint=f"use --filter '{key}:~…'")
    return f'{key}:"{value}"'


def _terms(text: str, option: str) -> list[Term]:
    found, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start, word, inside = at, "", False
        while at < len(text) and (inside or not text[at].isspace()):
            inside ^= text[at] == '"'
            word += text[at]
            at += 1
        if inside:
            opened = text.rindex('"', start, at) + 1
            raise UsageError(f"{option}: the quotation mark at character {opened} is not closed", hint='write "…"')
        found.append(Term(word, start + 1, word.startswith('"')))
    return found


def _term(term: Term, option: str) -> tuple[str, Test]:
    nots = len(term.text) - len(term.text.lstrip("!"))
    if nots:
        inner = Term(term.text[nots:], term.place + nots, term.text[nots : nots + 1] == '"')
        if not inner.text:
            raise _wrong(option, term, "means nothing alone", "write what is not wanted right after it: !state:done")
        key, test = _term(inner, option)
        return key, test if nots % 2 == 0 else lambda job, asked: not test(job, asked)
    if term.text.startswith("~"):
        pattern = _regex(Term(term.text[1:], term.place + 1, False), option)
        return "", lambda job, _: pattern.search(_everything(job)) is not None
    keyed = None if term.is_quoted else _KEYED.match(term.text)
    if keyed is None:
        word = term.text.replace('"', "").casefold()
        return "", lambda job, _: word in _everything(job).casefold() or word == str(job.id)
    key, operator = keyed[1].lower(), keyed[2]
    value = Term(term.text[keyed.end() :], term.place + keyed.end(), False)
    if key not in KEYS:
        near = get_close_matches(key, KEYS, 1)
        hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(KEYS)}"
        raise _wrong(option, Term(keyed[1], term.place, False), "is no key", f'{hint} A word with such a sign: "…"')
    if not value.text.replace('"', ""):
        raise _wrong(option, term, "has no value", f"write it right behind: {key}{operator}…")
    return key, (_text if key in TEXTS else _number)(key, operator, value, option)


def _text(key: str, operator: str, value: Term, option: str) -> Test:
    texts = TEXTS[key]
    if operator not in (":", "="):
        raise _wrong(option, value, f"cannot be compared with {key} by {operator}", f"write {key}:{value.text}")
    if value.text.startswith("~"):
        pattern = _regex(Term(value.text[1:], value.place + 1, False), option)
        return lambda job, _: any(pattern.search(text) for text in texts(job))
    wanted = _values(value.text)
    if key == "state":
        wanted = [_state(one, value, option) for one in wanted]
    if key == "user" and wanted == [ME]:
        return lambda job, asked: job.user == asked.user
    if operator == "=" or value.text.startswith('"') or key == "state":
        return lambda job, _: any(one in texts(job) for one in wanted)
    lower = tuple(one.casefold() for one in wanted)
    return lambda job, _: any(text.casefold().startswith(lower) for text in texts(job))


def _values(text: str) -> list[str]:
    """What commas part, but not within quotation marks."""
    parts = [part.replace('"', "") for part in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', text)]
    return [part for part in parts if part]


def _state(text: str, value: Term, option: str) -> str:
    """A state, or the beginning of just one."""
    near = [one for one in STATES if one.startswith(text.lower())]
    if len(near) != 1:
        what = f"may be {' or '.join(near)}" if near else "is no state"
        raise _wrong(option, Term(text, value.place, False), what, f"the states are {', '.join(STATES)}")
    return near[0]


def _number(key: str, operator: str, value: Term, option: str) -> Test:
    of = NUMBERS.get(key) or TIMES[key]
    compare = _COMPARE[operator]
    wanted = [_amount(key, Term(one, value.place, False), option) for one in _values(value.text)]
    if len(wanted) > 1 and operator not in (":", "="):
        raise _wrong(option, value, f"is more than one number for {operator}", f"write one: {key}{operator}{wanted[0]}")
    return lambda job, asked: (have := of(job, asked)) is not None and any(compare(have, one) for one in wanted)


def _amount(key: str, value: Term, option: str) -> int:
    if key in TIMES:
        try:
            return parse_duration(value.text)
        except OdysseyError as error:
            raise _wrong(option, value, "is no time", f"write {key}>90s, 15m, 2h or 1h30m") from error
    if not _NUMBER.fullmatch(value.text):
        raise _wrong(option, value, f"is no number, as {key} needs", f"write for example {key}>1")
    return int(value.text)


def _regex(value: Term, option: str) -> re.Pattern[str]:
    text = value.text.replace('"', "")
    if not text or len(text) > MAX_REGEX:
        what = "is empty" if not text else f"is longer than {MAX_REGEX} characters"
        raise _wrong(option, value, what, "write a regular expression after ~: ~^fit")
    if _MANY.search(text):
        raise _wrong(option, value, "has a repetition of a repetition", "write it with one of them")
    try:
        return re.compile(text, re.IGNORECASE | re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        place = value.place + (getattr(error, "pos", None) or 0)
        raise UsageError(
            f"{option}: {echo(text)!r} is no regular expression: {getattr(error, 'msg', error)}",
            hint=f"look at character {place}",
        ) from error


def _wrong(option: str, term: Term, what: str, hint: str) -> UsageError:
    return UsageError(f"{option}: {echo(term.text)!r} at character {term.place} {what}", hint=hint)
