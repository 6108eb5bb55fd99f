"""The grammar of `odyssey map`, which is GNU parallel's: a template and inputs in, each task's own words out.

    map -- convert {} {.}.png ::: *.jpg        map 'gzip -k {} && echo {#}' < names        map -n 2 -- cmp ::: a b c d

A template of several words is not touched by a shell: what an item holds stays in its word. One word with blanks, or
with other signs of the shell, is handed to `sh -c` with every item quoted; without any template each item is itself
such a command.

Promises: where the grammar is parallel's, the words are the ones parallel's shell would make; what it has and this has
not (`{%}`, perl) is refused, not passed on as text.
Never: reads a file, or knows what runs the tasks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise, product
from shlex import quote
from typing import Final, NamedTuple

from odyssey.errors import UsageError, echo

Words = tuple[str, ...]

# ---- the command line: a template, then sources ----------------------------------------------------------------------


class Source(NamedTuple):
    """Where items come from: the words after `:::`, or a file with one a line (`-`: standard input)."""

    items: Words = ()
    file: str = ""
    linked: bool = False  # goes along with the source before it, instead of being combined with it


_SEPARATORS: Final = {":::": (False, False), ":::+": (False, True), "::::": (True, False), "::::+": (True, True)}


def split(words: Sequence[str]) -> tuple[Words, tuple[Source, ...]]:
    """The template, and the sources in order. Words of `::::` are files, each a source of its own."""
    marks = [place for place, word in enumerate(words) if word in _SEPARATORS]
    sources: list[Source] = []
    for mark, end in pairwise([*marks, len(words)]):
        are_files, linked = _SEPARATORS[words[mark]]
        given = tuple(words[mark + 1 : end])
        if linked and not sources:
            raise UsageError(f"there is nothing before {words[mark]}", hint="write the first source after :::")
        if are_files and not given:
            raise UsageError(f"there is no file after {words[mark]}", hint="write :::: FILE, or :::: - for stdin")
        sources += [Source(file=file, linked=linked) for file in given] if are_files else [Source(given, "", linked)]
    return tuple(words[: marks[0]] if marks else words), tuple(sources)


# ---- items -> records: what one task gets ----------------------------------------------------------------------------


def lines(text: str, separator: str = "\n") -> Words:
    """Items of a file; the last one may lack its end."""
    return tuple(text.removesuffix(separator).split(separator)) if text else ()


def records(sources: Sequence[tuple[Sequence[str], bool]], per_task: int = 1) -> Iterator[Words]:
    """All combinations, the last source varying fastest; linked ones go in step. `per_task` of them make one record."""
    groups: list[list[Sequence[str]]] = []
    for items, linked in sources:
        if linked:
            groups[-1].append(items)
        else:
            groups.append([items])
    columns = [[tuple(row) for row in zip(*group, strict=False)] for group in groups]  # the shortest ends it
    combined = (tuple(item for row in rows for item in row) for rows in product(*columns))
    while taken := tuple(islice(combined, per_task)):
        yield tuple(item for record in taken for item in record)


# ---- the template ----------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A replacement string: which items of the record (0: all), and what is done to each."""

    position: int
    change: str


Part = str | Place
_PLACE: Final = re.compile(r"\{(?:(-?[1-9][0-9]*)?(\.|//|/\.|/)?|(#))\}")
_SHELL: Final = re.compile(r"[\s|&;<>()$`*?]")  # what only a shell understands
_FOREIGN: Final = re.compile(r"\{%\}|\{=.*=\}")
_NUMBER: Final = Place(0, "#")
_EVERYTHING: Final = Place(0, "")


class Template(NamedTuple):
    words: tuple[tuple[Part, ...], ...]
    by_shell: bool  # the one word is a text for `sh -c`
    quoted: bool = True  # items in it are data; without a template they are the command

    def task(self, record: Words, number: int) -> Words:
        """The words of the task with this number (from 1)."""
        if not self.by_shell:
            return tuple(word for parts in self.words for word in _words(parts, record, number))
        dress: Callable[[str], str] = quote if self.quoted else str
        return ("sh", "-c", "".join(_texts(self.words[0], record, number, dress)))

    def command(self, record: Words, number: int) -> str:
        """The task as one line a shell would understand."""
        words = self.task(record, number)
        return words[2] if self.by_shell else " ".join(map(quote, words))


def template(words: Sequence[str]) -> Template:
    if not words:
        return Template(((_EVERYTHING,),), by_shell=True, quoted=False)
    by_shell = len(words) == 1 and _SHELL.search(words[0]) is not None
    parsed = [tuple(_parts(word)) for word in words]
    if not any(isinstance(part, Place) for parts in parsed for part in parts):
        if by_shell:
            parsed[0] += (" ", _EVERYTHING)
        else:
            parsed.append((_EVERYTHING,))
    return Template(tuple(parsed), by_shell)


def _parts(word: str) -> Iterator[Part]:
    if foreign := _FOREIGN.search(word):
        raise UsageError(
            f"map does not know the replacement string {echo(foreign[0])}",
            hint="use {} {.} {/} {//} {/.} {#} or {1}; quote a literal one in a script of its own",
        )
    end = 0
    for found in _PLACE.finditer(word):
        if found.start() > end:
            yield word[end : found.start()]
        yield _NUMBER if found[3] else Place(int(found[1] or 0), found[2] or "")
        end = found.end()
    if end < len(word):
        yield word[end:]


def _values(place: Place, record: Words, number: int) -> Words:
    """One text per item that the place stands for; none when the record has no such item."""
    if place is _NUMBER:
        return (str(number),)
    change = _CHANGES[place.change]
    if place.position == 0:
        return tuple(map(change, record))
    index = place.position - 1 if place.position > 0 else len(record) + place.position
    return (change(record[index]),) if 0 <= index < len(record) else ()


def _words(parts: tuple[Part, ...], record: Words, number: int) -> Iterator[str]:
    """Several items at one place make several words: `x{}y` with a and b is `xa` `by`; none alone makes no word."""
    word: str | None = None if parts else ""
    for part in parts:
        if isinstance(part, str):
            word = (word or "") + part
            continue
        for turn, value in enumerate(_values(part, record, number)):
            if turn:
                yield word or ""
                word = value
            else:
                word = (word or "") + value
    if word is not None:
        yield word


def _texts(parts: Iterable[Part], record: Words, number: int, dress: Callable[[str], str]) -> Iterator[str]:
    for part in parts:
        yield part if isinstance(part, str) else " ".join(map(dress, _values(part, record, number)))


def _without_extension(path: str) -> str:
    return re.sub(r"\.[^/.]*\Z", "", path)


def _file(path: str) -> str:
    return path.rpartition("/")[2]


def _folder(path: str) -> str:
    folder = path.rstrip("/").rpartition("/")[0].rstrip("/")
    return folder or ("/" if path.startswith("/") else ".")


_CHANGES: Final[dict[str, Callable[[str], str]]] = {
    "": str,
    ".": _without_extension,
    "/": _file,
    "//": _folder,
    "/.": lambda path: _without_extension(_file(path)),
}
