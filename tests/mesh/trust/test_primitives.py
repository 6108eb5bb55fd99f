"""Signatures and keys, beside what others say of them."""

from __future__ import annotations

import pytest
import zmq
from zmq.utils import z85

from odyssey.mesh.trust import primitives
from odyssey.mesh.trust.primitives import derived, signing_pair, verified


def test_a_signature_is_what_the_standard_says() -> None:
    """RFC 8032, 7.1, test 2."""
    pair = signing_pair(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert pair.public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = primitives.sign(pair, b"\x72")
    assert signature.hex().startswith("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da")
    assert verified(pair.public, b"\x72", signature)


@pytest.mark.parametrize("wrong", [b"", b"x" * 63, b"x" * 64, b"x" * 65])
def test_what_is_no_signature_is_none(wrong: bytes) -> None:
    pair = signing_pair(b"s" * 32)
    assert not verified(pair.public, b"text", wrong)
    assert not verified(wrong, b"text", primitives.sign(pair, b"text"))
    assert not verified(pair.public, b"texts", primitives.sign(pair, b"text"))


def test_a_curve_key_is_the_one_that_zeromq_makes() -> None:
    pair = primitives.curve_pair(b"s" * 32)
    assert z85.decode(zmq.curve_public(z85.encode(pair.secret))) == pair.public


def test_keys_of_secrets_are_what_the_standard_says() -> None:
    """RFC 5869, test 3, its first 32 bytes."""
    assert derived(b"\x0b" * 22, b"").hex() == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert derived(b"secret", b"one") != derived(b"secret", b"two")


def test_a_pair_does_not_show_its_secret() -> None:
    pair = signing_pair(b"\xab" * 32)
    for text in (repr(pair), str(pair), f"{pair}"):
        assert "ab" * 4 not in text
        assert "\\xab" not in text
