"""The state as far as the log was applied, and who is told of it."""

from odyssey.book import Book
from odyssey.commands import AdmitNode, Entry, Facts, SetPolicy
from odyssey.ids import NodeId, UserId
from odyssey.resources import Resources
from tests.builders import GIB


def test_whoever_watches_is_told_when_each_entry_was_made() -> None:
    book, told = Book(), list[int]()
    book.watch = lambda events: told.extend(book.when_ms[event.index] for event in events)
    admission = AdmitNode(NodeId("1"), "pc", UserId("anna"), Facts(Resources(1000, GIB)))
    book.apply((Entry(1, 1, 1, 5_000, admission), Entry(1, 1, 2, 7_000, SetPolicy("pack"))))
    assert told == [5_000, 7_000]
