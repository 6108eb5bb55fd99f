"""The little language of --needs: which labels a machine must have.

    has:ffmpeg                     the label exists
    cuda>=12                       it exists and compares so: by version where both sides are numbers with dots
    gpu=a100 | gpu=h100            either       (also: or)
    room!=lab3, not has:battery    both         (also: & and, or a blank)   and negation (also: !)
    (…)                            grouping

Promises: parsing and judging are bounded by the text's length (at most 1,024 characters, 64 deep); a mistake is told
with its place.
Never: fails while judging: what parsed can be judged for every machine, and a missing label is simply not there.
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from odyssey.errors import echo
from odyssey.spec import SpecFault

MAX_LENGTH: Final = 1024
_MAX_DEPTH: Final = 64
_WORD: Final = re.compile(r"[A-Za-z0-9_.:+/@-]+")
_TOKEN: Final = re.compile(rf"\s*(?:(>=|<=|!=|==|=|>|<|[()|&,!])|({_WORD.pattern}))")
_SHAPE: Final = "for example: has:ffmpeg, cuda>=12, gpu=a100 | gpu=h100, not has:battery"

Labels = Mapping[str, str]
Test = Callable[[Labels], bool]


class NeedsError(ValueError):
    pass


class Parsed(NamedTuple):
    test: Test
    terms: tuple[str, ...]  # the single conditions, for explanations


def matches(expression: str, labels: Labels) -> bool:
    return not expression or parse(expression).test(labels)


def needs_fault(expression: str) -> SpecFault | None:
    if not expression:
        return None
    try:
        parse(expression)
    except NeedsError as error:
        return SpecFault(f"--needs: {error}", _SHAPE)
    return None


@functools.lru_cache(maxsize=4096)
def parse(expression: str) -> Parsed:
    if len(expression) > MAX_LENGTH:
        raise NeedsError(f"the expression has {len(expression)} characters, at most {MAX_LENGTH} are allowed")
    parser = _Parser(_tokens(expression))
    test = parser.either(0)
    if parser.peek() is not None:
        raise NeedsError(f"{parser.said()} is not expected")
    return Parsed(test, tuple(parser.terms))


def _tokens(text: str) -> list[tuple[str, int]]:
    """Each with the place of its first character, counted from 1."""
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            at = len(text) - len(text[at:].lstrip())
            raise NeedsError(f"{text[at : at + 10]!r} at character {at + 1} is not understood")
        tokens.append((found[1] or found[2], found.start(found.lastindex or 0) + 1))
        at = found.end()
    return tokens


class _Parser:
    """Recursive descent: either > both > one. Depth is limited, so that text cannot exhaust the stack."""

    def __init__(self, tokens: list[tuple[str, int]]) -> None:
        self._tokens = tokens
        self._at = 0
        self.terms: list[str] = []

    def peek(self) -> str | None:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else None

    def said(self, back: int = 0) -> str:
        """The next token, or an earlier one, as it is named in a fault."""
        token, place = self._tokens[self._at - back]
        return f"{echo(token)!r} at character {place}"

    def _next(self) -> str:
        token = self.peek()
        if token is None:
            raise NeedsError("the expression ends too early")
        self._at += 1
        return token

    def either(self, depth: int) -> Test:
        tests = [self._both(depth)]
        while self.peek() in ("|", "or"):
            self._at += 1
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda labels: any(test(labels) for test in tests)

    def _both(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while (token := self.peek()) is not None and token not in ("|", "or", ")"):
            if token in ("&", ",", "and"):
                self._at += 1
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda labels: all(test(labels) for test in tests)

    def _one(self, depth: int) -> Test:
        if depth > _MAX_DEPTH:
            raise NeedsError(f"more than {_MAX_DEPTH} levels of parentheses")
        token = self._next()
        if token in ("!", "not"):
            inner = self._one(depth + 1)
            return lambda labels: not inner(labels)
        if token == "(":
            opened = self.said(1)
            inner = self.either(depth + 1)
            if self.peek() is None:
                raise NeedsError(f"{opened} is not closed")
            self._at += 1
            return inner
        return self._condition(token)

    def _condition(self, name: str) -> Test:
        if not _WORD.fullmatch(name) or name in ("and", "or"):
            raise NeedsError(f"{self.said(1)} is not the name of a label")
        operator = self.peek()
        if operator not in _COMPARE:
            self.terms.append(name)
            return lambda labels: name in labels
        self._at += 1
        value = self._next()
        if not _WORD.fullmatch(value):
            raise NeedsError(f"{echo(name)}{operator} needs a value, not {self.said(1)}")
        self.terms.append(f"{name}{operator}{value}")
        compare = _COMPARE[operator]
        return lambda labels: name in labels and compare(*_comparable(labels[name], value))


_COMPARE: Final[dict[str | None, Callable[[tuple[object, ...], tuple[object, ...]], bool]]] = {
    "=": lambda have, want: have == want,
    "==": lambda have, want: have == want,
    "!=": lambda have, want: have != want,
    ">=": lambda have, want: have >= want,
    "<=": lambda have, want: have <= want,
    ">": lambda have, want: have > want,
    "<": lambda have, want: have < want,
}
_VERSION: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})*")


def _comparable(have: str, want: str) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """Versions as numbers (12.10 > 12.9, and 12 = 12.0), everything else as text."""
    if _VERSION.fullmatch(have) and _VERSION.fullmatch(want):
        left, right = [int(part) for part in have.split(".")], [int(part) for part in want.split(".")]
        width = max(len(left), len(right))
        return tuple(left + [0] * (width - len(left))), tuple(right + [0] * (width - len(right)))
    return (have,), (want,)
