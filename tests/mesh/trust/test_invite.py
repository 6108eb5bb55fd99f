"""Invites as text: written, pasted, mistyped.

Never: the secret, or a part of it, is in anything that is shown.
"""

from __future__ import annotations

import logging
import tracemalloc
from base64 import b32encode
from contextlib import suppress
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.clock import SeededEntropy
from odyssey.mesh.trust import invite as invites
from odyssey.mesh.trust.certificates import fingerprint
from odyssey.mesh.trust.invite import Address, BadInvite, Invite, read, written
from tests.mesh.trust.people import curve, key

ADDRESSES = (Address("192.168.1.20", 7660), Address("fe80::1", 7660), Address("100.64.0.7", 1), Address("::1", 65535))


def an_invite(count: int = 1, seed: int = 1) -> Invite:
    return invites.made(key("root").public, curve("gamebox").public, ADDRESSES[:count], SeededEntropy(seed))


def fields(invite: Invite) -> tuple[object, ...]:
    return (invite.root, invite.curve, invite.id, invite.secret, invite.addresses)


def wrong(text: str) -> str:
    with pytest.raises(BadInvite) as caught:
        read(text)
    assert caught.value.hint
    return caught.value.message


# ---- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", range(5))
def test_what_is_written_is_read(count: int) -> None:
    invite = an_invite(count)
    text = written(invite)
    assert text.startswith("ody1_")
    assert text == text.lower()
    assert fields(read(text)) == fields(invite)
    assert invite.root == fingerprint(key("root").public)


def test_the_text_stays_what_it_is() -> None:
    invite = Invite(b"\1" * 16, b"\2" * 32, b"\3" * 6, b"\4" * 16, ADDRESSES[:2])
    assert written(invite) == (
        "ody1_aeaacaibaeaqcaibaeaqcaibaeaqcaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcambqgaydamcaibaeaqcaibaeaqca"
        "ibaeaqcaebgavaarihpma37iaaaaaaaaaaaaaaaaaaaaaaar33eytwir6"
    )


def test_no_more_addresses_than_have_room() -> None:
    assert len(invites.made(key("r").public, bytes(32), ADDRESSES * 2, SeededEntropy(1)).addresses) == 4


@pytest.mark.parametrize(
    "pasted",
    [
        "  {}\n",
        "'{}'",
        "“{}”",
        "`{}`",
        "odyssey join {}",
        "$ odyssey join '{}'\n",
        "{}.",
        "\ufeff{}\u200b",
        "<{}>",
    ],
)
def test_what_is_pasted_with_something_around_it_is_read(pasted: str) -> None:
    invite = an_invite()
    assert read(pasted.format(written(invite))).id == invite.id


def test_what_a_mail_has_broken_into_lines_is_read() -> None:
    text = written(an_invite(4))
    broken = "\r\n> ".join(text[at : at + 30] for at in range(0, len(text), 30))
    assert fields(read(broken.upper())) == fields(an_invite(4))


def test_the_key_follows_from_secret_and_id() -> None:
    one = an_invite()
    assert one.key().public == read(written(one)).key().public
    other = Invite(one.root, one.curve, b"x" * 6, one.secret, ())
    assert other.key().public != one.key().public


# ---- mistyped --------------------------------------------------------------------------------------------------------


def test_nothing_is_no_invite() -> None:
    assert wrong(" \n") == "no invite was given"
    assert wrong("''") == "no invite was given"


def test_another_beginning_is_named() -> None:
    assert wrong("hello world") == "an invite begins with ody1_, this with hello"
    assert "newer" in wrong(written(an_invite()).replace("ody1_", "ody2_"))


def test_two_at_once_are_refused() -> None:
    assert wrong(written(an_invite()) + " " + written(an_invite(seed=2))) == "these are several invites"


def test_a_character_that_no_invite_has_is_named_with_its_place() -> None:
    text = written(an_invite())
    assert wrong(f"{text[:9]}0{text[10:]}") == (
        "character 10 of this invite is '0', and there are only a to z and 2 to 7 in one"
    )


@pytest.mark.parametrize("count", [0, 1, 4])
def test_one_mistyped_character_is_found_wherever_it_is(count: int) -> None:
    text = written(an_invite(count))
    for place in range(5, len(text), 11):
        other = "a" if text[place] != "a" else "b"
        assert wrong(text[:place] + other + text[place + 1 :]) == f"character {place + 1} of this invite is mistyped"


def test_two_that_have_changed_places_are_found() -> None:
    text = written(an_invite())
    place = next(at for at in range(40, 100) if text[at] != text[at + 1])
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert wrong(swapped) == f"characters {place + 1} and {place + 2} of this invite have changed places"


def test_a_part_of_one_says_how_much_there_is() -> None:
    text = written(an_invite())
    assert wrong(text[:-8]) == f"this invite ends too early: {len(text) - 8} of {len(text)} characters"
    assert wrong(text + "abcdefgh") == f"this invite is too long: {len(text) + 8} characters instead of {len(text)}"
    assert wrong(text[:30]) == "this invite is mistyped"


def test_more_than_one_mistake_is_one_that_is_not_found() -> None:
    text = list(written(an_invite()))
    for place in (20, 50, 80):
        text[place] = "a" if text[place] != "a" else "b"
    assert wrong("".join(text)) == "this invite is mistyped"


def with_sum(data: bytes) -> str:
    return "ody1_" + b32encode(data + crc32(data).to_bytes(4, "big")).decode().rstrip("=").lower()


def test_one_of_a_newer_version_is_not_guessed_at() -> None:
    head = bytes(2 + 16 + 32 + 6 + 16)
    for version, flags in ((2, 0), (1, 1)):
        assert "newer" in wrong(with_sum(bytes((version, flags)) + head[2:] + b"\0"))


@pytest.mark.parametrize(
    "tail",
    [
        b"\1",
        b"\0" + b"\4\1\2\3\4\0\1",
        b"\1" + b"\5\1\2\3\4\0\1",
        b"\1" + b"\4\1\2\3\4\0\0",
        b"\1" + b"\6\1\2\3\4\0\1",
        b"\5" + b"\4\1\2\3\4\0\1" * 5,
    ],
)
def test_addresses_that_are_none_are_refused(tail: bytes) -> None:
    assert wrong(with_sum(b"\1\0" + bytes(70) + tail)) == "this invite holds addresses that are none"


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for one in (text, f"ody1_{text}"):
        with suppress(BadInvite):
            read(one)


def test_a_very_long_text_costs_nothing() -> None:
    tracemalloc.start()
    try:
        for text in ("ody1_" + "a" * 4000, "a" * 5_000_000, "ody1_" * 800):
            wrong(text)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


# ---- secret ----------------------------------------------------------------------------------------------------------


def test_nothing_that_is_shown_holds_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    invite = an_invite()
    text = written(invite)
    logging.getLogger("test").warning("joins with %s, %r", invite, invite)
    shown = [repr(invite), str(invite), f"{invite}", f"{[invite]}", caplog.text, repr(invite.key())]
    for place in (60, 100, 130):
        shown.append(wrong(text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :]))
        shown.append(wrong(text[:place]))
    for one in shown:
        assert invite.secret.hex() not in one
        assert repr(invite.secret)[2:-1] not in one
        assert not any(text[at : at + 4] in one for at in range(90, 120))
