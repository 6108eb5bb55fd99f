"""Mistakes in who is believed and who is let in: each check that refuses somebody, removed.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant


def trust(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    named = tuple(f"mesh/trust/test_{file}.py::test_{test}" for test in tests)
    return Mutant(name, f"mesh/trust/{file}.py", old, new, named)


def signed(name: str, old: str, new: str, *tests: str) -> Mutant:
    named = tuple(f"mesh/trust/test_trustset.py::test_{test}" for test in tests)
    return Mutant(name, "mesh/trust/signed.py", old, new, named)


MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- signatures
    trust(
        "any signature is one",
        "primitives",
        "    except (InvalidSignature, ValueError):\n        return False",
        "    except (InvalidSignature, ValueError):\n        return True",
        "what_is_no_signature_is_none",
    ),
    signed(
        "signature not looked at",
        "    if not proves(kind.PURPOSE, outer.body, record.signer, outer.signature):",
        "    if False:",
        "a_changed_body_is_refused",
    ),
    signed(
        "signature for one purpose good for all",
        '    return _PREFIX + purpose.encode("ascii") + b"\\0" + body',
        '    return _PREFIX + b"\\0" + body + purpose.encode("ascii")[:0]',
        "a_signature_for_one_purpose_is_none_for_another",
    ),
    signed(
        "purpose not looked at",
        "        if outer.purpose != kind.PURPOSE:",
        "        if False:",
        "a_signature_for_one_purpose_is_none_for_another",
    ),
    # -- members
    trust(
        "certificate of another mesh believed",
        "trustset",
        "        if record.mesh != self.mesh:",
        "        if False:",
        "a_certificate_of_another_mesh_is_refused",
        "an_issuer_of_another_mesh_is_refused",
    ),
    trust(
        "mesh of members not looked at",
        "trustset",
        "        certificate = opened(data, Certificate)\n        self._check_mesh(certificate)\n",
        "        certificate = opened(data, Certificate)\n",
        "a_certificate_of_another_mesh_is_refused",
    ),
    trust(
        "mesh of issuers not looked at",
        "trustset",
        "        issuer = opened(data, Issuer)\n        self._check_mesh(issuer)\n",
        "        issuer = opened(data, Issuer)\n",
        "an_issuer_of_another_mesh_is_refused",
    ),
    trust(
        "mesh of revocations not looked at",
        "trustset",
        "            self._check_mesh(revocation)\n",
        "",
        "only_issuers_put_out",
    ),
    trust(
        "mesh of invites not looked at",
        "trustset",
        "        self._check_mesh(terms)\n",
        "",
        "an_invite_that_is_not_an_issuers_is_refused",
    ),
    trust(
        "member for as long as it says",
        "trustset",
        "        if certificate.expiry - certificate.not_before > MEMBER_MS:",
        "        if False:",
        "no_certificate_is_valid_for_long",
    ),
    trust(
        "machine that was put out believed",
        "trustset",
        "        if certificate.node in self._revoked:",
        "        if False:",
        "a_machine_that_was_put_out_is_refused_at_once",
        "one_that_was_put_out_is_not_renewed",
    ),
    trust(
        "issuer gives what it has not",
        "trustset",
        "        if not any(certificate.grants & ~one.may_give == 0 for one in issuers):",
        "        if False:",
        "an_issuer_gives_no_more_than_it_may",
    ),
    trust(
        "certificate before its time",
        "trustset",
        "    if now < record.not_before - SKEW_MS:",
        "    if False:",
        "it_holds_from_its_beginning_to_its_end",
    ),
    trust(
        "certificate after its time",
        "trustset",
        "    if now >= record.expiry + late_ms:",
        "    if False:",
        "it_holds_from_its_beginning_to_its_end",
        "after_a_long_holiday_it_can_still_be_renewed",
    ),
    trust(
        "members checked against issuers that were put out",
        "trustset",
        "self._signer(certificate, certificate.not_before, self._now)",
        "self._signer(certificate, certificate.not_before, self._ever)",
        "with_an_issuer_falls_all_that_hangs_on_it",
    ),
    # -- issuers
    trust(
        "issuer for as long as it says",
        "trustset",
        "        if issuer.expiry - issuer.not_before > ISSUER_MS:",
        "        if False:",
        "an_issuer_for_longer_than_is_allowed_is_refused",
    ),
    trust(
        "anybody is an issuer",
        "trustset",
        "            above = self._signer(issuer, issuer.not_before, self._ever)\n",
        "            above = list(self._ever)\n",
        "an_issuer_of_another_root_is_refused",
        "one_whose_time_is_over_makes_none",
    ),
    trust(
        "what an issuer signs is good at all times",
        "trustset",
        "if one in among and one.covers(when)]",
        "if one in among]",
        "what_it_signed_at_another_time_is_refused",
    ),
    trust(
        "issuer makes issuers though it may not",
        "trustset",
        "        and above.may_give & Grant.ISSUE != 0\n",
        "",
        "one_that_may_not_makes_none",
    ),
    trust(
        "issuer makes one that gives more",
        "trustset",
        "        and one.may_give & ~above.may_give == 0\n",
        "",
        "one_makes_none_that_gives_more",
    ),
    trust(
        "chains without end",
        "trustset",
        "if not any(_follows(issuer, one) and self._ever[one] < LONGEST_CHAIN for one in above):",
        "if not any(_follows(issuer, one) for one in above):",
        "issuers_go_on_by_each_other_but_not_without_end",
    ),
    trust(
        "issuers without number",
        "trustset",
        "            if len(self._sources) >= MOST_ISSUERS:",
        "            if False:",
        "a_stolen_issuer_does_not_fill_the_set",
    ),
    trust(
        "revocations without number",
        "trustset",
        "            if len(self._revoked) >= MOST_REVOKED and record.signer != self.root:",
        "            if False:",
        "a_stolen_issuer_does_not_fill_the_set",
    ),
    trust(
        "no room for the root's revocation",
        "trustset",
        "            if len(self._revoked) >= MOST_REVOKED and record.signer != self.root:",
        "            if len(self._revoked) >= MOST_REVOKED:",
        "a_stolen_issuer_does_not_fill_the_set",
    ),
    # -- put out
    trust(
        "anybody puts machines out",
        "trustset",
        "                self._signer(revocation, revocation.at, self._ever)",
        "                pass",
        "only_issuers_put_out",
    ),
    trust(
        "revocation depends on what was heard first",
        "trustset",
        "                self._signer(revocation, revocation.at, self._ever)",
        "                self._signer(revocation, revocation.at, self._now)",
        "what_a_set_holds_does_not_depend_on_what_was_heard_first",
    ),
    trust(
        "issuer's machine put out and its key goes on",
        "trustset",
        "if one.node not in out and node_id(one.key) not in out",
        "if node_id(one.key) not in out",
        "with_an_issuer_falls_all_that_hangs_on_it",
    ),
    trust(
        "issuer's key put out and goes on",
        "trustset",
        "if one.node not in out and node_id(one.key) not in out",
        "if one.node not in out",
        "with_an_issuer_falls_all_that_hangs_on_it",
    ),
    # -- invites
    trust(
        "invite makes admins",
        "trustset",
        "        if terms.grants & ~BY_INVITE or not any(",
        "        if not any(",
        "no_invite_makes_an_issuer_or_an_admin",
    ),
    trust(
        "invite gives what its issuer has not",
        "trustset",
        "or not any(terms.grants & ~one.may_give == 0 for one in issuers):",
        "or not issuers:",
        "an_invite_that_is_not_an_issuers_is_refused",
    ),
    trust(
        "invite for as long as it says",
        "trustset",
        "        if terms.expiry - terms.not_before > INVITE_MS:",
        "        if False:",
        "an_invite_that_is_not_an_issuers_is_refused",
    ),
    trust(
        "invite of one who was put out",
        "trustset",
        "self._signer(terms, terms.not_before, self._now)",
        "self._signer(terms, terms.not_before, self._ever)",
        "with_an_issuer_falls_all_that_hangs_on_it",
    ),
    # -- who is a member
    trust(
        "a member for ever",
        "roster",
        "        return certificate.not_before - SKEW_MS <= now < certificate.expiry\n",
        "        return certificate.not_before - SKEW_MS <= now\n",
        "only_while_its_certificate_holds",
    ),
    trust(
        "a member before its time",
        "roster",
        "        return certificate.not_before - SKEW_MS <= now < certificate.expiry\n",
        "        return now < certificate.expiry\n",
        "only_while_its_certificate_holds",
    ),
    trust(
        "an old certificate brings an old key back",
        "roster",
        "            return None\n        if self._by_key",
        "            pass\n        if self._by_key",
        "the_newest_certificate_counts_whatever_comes_last",
    ),
    trust(
        "one takes another's key",
        "roster",
        "        if self._by_key.get(certificate.curve, node) != node:\n",
        "        if False:\n",
        "nobody_takes_anothers_key",
    ),
    trust(
        "whoever was put out stays",
        "roster",
        "                gone.add(node)\n                self._drop(node)\n",
        "                gone.add(node)\n",
        "whoever_is_put_out_is_no_member_from_then_on",
    ),
    trust(
        "an old key of a machine stays its own",
        "roster",
        "            del self._by_key[entry.certificate.curve]\n",
        "            pass\n",
        "the_newest_certificate_counts_whatever_comes_last",
    ),
    trust(
        "everybody may everything",
        "roster",
        " and entry.certificate.may(grant)\n",
        "\n",
        "it_may_what_its_certificate_says",
    ),
)
