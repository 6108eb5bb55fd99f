"""The language of --needs: what matches, what is a mistake and where, and that no text can do harm."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.scheduler.needs import MAX_LENGTH, NeedsError, matches, needs_fault, parse

TITAN = {
    "has:ffmpeg": "",
    "has:battery": "",
    "cuda": "12.4",
    "gpu": "a100",
    "room": "lab3",
    "python": "3.12",
    "distro": "debian",
    "n": "9",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", True),
        ("has:ffmpeg", True),
        ("has:sox", False),
        ("cuda>=12", True),
        ("cuda>=12.4", True),
        ("cuda>=12.4.1", False),
        ("cuda > 12.3", True),
        ("cuda<13", True),
        ("cuda<=12.4", True),
        ("cuda<12.4", False),
        ("gpu=a100", True),
        ("gpu==a100", True),
        ("gpu=h100", False),
        ("gpu!=h100", True),
        ("gpu=a100 | gpu=h100", True),
        ("gpu=h100 or gpu=a100", True),
        ("gpu=h100|gpu=l4", False),
        ("cuda>=12, gpu=a100", True),
        ("cuda>=12 and gpu=h100", False),
        ("cuda>=12 & gpu=a100", True),
        ("cuda>=12 gpu=a100", True),
        ("not has:battery", False),
        ("!has:sox", True),
        ("not not has:ffmpeg", True),
        ("has:ffmpeg not has:sox", True),
        ("(gpu=h100 | gpu=a100) & room=lab3", True),
        ("!(gpu=h100 | gpu=a100)", False),
        ("distro=debian", True),
    ],
)
def test_what_matches(expression: str, expected: bool) -> None:
    assert matches(expression, TITAN) is expected


def test_and_binds_closer_than_or() -> None:
    assert matches("has:ffmpeg | has:sox has:sox", TITAN)
    assert not matches("(has:ffmpeg | has:sox) has:sox", TITAN)
    assert matches("has:sox has:sox | has:ffmpeg", TITAN)


def test_not_takes_the_next_condition_only() -> None:
    assert matches("not has:sox has:ffmpeg", TITAN)
    assert matches("not has:ffmpeg | has:ffmpeg", TITAN)


@pytest.mark.parametrize("operator", ["=", "==", "!=", "<", "<=", ">", ">="])
def test_a_missing_label_compares_with_nothing(operator: str) -> None:
    assert not matches(f"absent{operator}1", TITAN)
    assert matches(f"not absent{operator}1", TITAN)


# -- versions ----------------------------------------------------------------------------------------------------------

PART = st.integers(0, 2) | st.integers(0, 999_999_999)
VERSIONS = st.lists(PART, min_size=1, max_size=5)


def dotted(parts: list[int]) -> str:
    return ".".join(map(str, parts))


@given(VERSIONS, VERSIONS)
def test_versions_compare_number_by_number(have: list[int], want: list[int]) -> None:
    width = max(len(have), len(want))
    left, right = ((*parts, *([0] * (width - len(parts)))) for parts in (have, want))
    labels = {"v": dotted(have)}
    assert matches(f"v<{dotted(want)}", labels) is (left < right)
    assert matches(f"v>{dotted(want)}", labels) is (left > right)
    assert matches(f"v={dotted(want)}", labels) is (left == right)
    assert matches(f"v!={dotted(want)}", labels) is (left != right)
    assert matches(f"v<={dotted(want)}", labels) is (left <= right)
    assert matches(f"v>={dotted(want)}", labels) is (left >= right)


def test_ten_is_more_than_nine_and_trailing_zeros_say_nothing() -> None:
    assert matches("v>12.9", {"v": "12.10"})
    assert matches("v=12", {"v": "12.0"})
    assert matches("v=12.0.0, v>=12.0, !(v<12.0)", {"v": "12"})
    assert matches("n<10", TITAN)


def test_what_is_no_version_compares_as_text() -> None:
    assert matches("v<9", {"v": "10-rc1"})
    assert not matches("v=12", {"v": "12-rc1"})
    assert matches("gpu<h100", TITAN)


def test_a_number_too_long_for_a_version_is_text() -> None:
    assert matches("v<9", {"v": "1000000000"})


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("gpu=", "--needs: the expression ends too early"),
        ("(gpu=a100", "--needs: '(' at character 1 is not closed"),
        ("gpu=a100)", "--needs: ')' at character 9 is not expected"),
        ("a & & b", "--needs: '&' at character 5 is not the name of a label"),
        ("or", "--needs: 'or' at character 1 is not the name of a label"),
        ("a | | b", "--needs: '|' at character 5 is not the name of a label"),
        ("cuda>=>12", "--needs: cuda>= needs a value, not '>' at character 7"),
        ("a  $PATH", "--needs: '$PATH' at character 4 is not understood"),
        ("(a b=1 | (c d)", "--needs: '(' at character 1 is not closed"),
        ("(a]", "--needs: ']' at character 3 is not understood"),
        ("   ", "--needs: the expression ends too early"),
    ],
)
def test_a_mistake_is_told_with_its_place(expression: str, error: str) -> None:
    fault = needs_fault(expression)
    assert fault is not None
    assert fault.error == error
    assert fault.hint.startswith("for example: ")


def test_a_long_mistake_is_not_repeated_at_length() -> None:
    for expression in (f"a={'x' * 900} ) b", ">" + "y" * 900, "a)" + "z" * 900, "$" * 900):
        fault = needs_fault(expression)
        assert fault is not None
        assert len(fault.error) < 130


def test_no_expression_is_no_mistake() -> None:
    assert needs_fault("") is None


def test_the_conditions_are_named_one_by_one() -> None:
    assert parse("not (gpu = a100 | has:x), cuda>=12").terms == ("gpu=a100", "has:x", "cuda>=12")


def test_text_is_bounded() -> None:
    assert parse("a " * (MAX_LENGTH // 2)).test({"a": ""})
    fault = needs_fault("a" * (MAX_LENGTH + 1))
    assert fault is not None
    assert fault.error == "--needs: the expression has 1025 characters, at most 1024 are allowed"


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("!", ""), ("not ", "")])
def test_nesting_is_bounded(opening: str, closing: str) -> None:
    assert parse(opening * 64 + "a" + closing * 64).test({"a": ""})
    with pytest.raises(NeedsError, match="more than 64 levels"):
        parse(opening * 65 + "a" + closing * 65)


# -- any text ----------------------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        "a",
        "has:x",
        "or",
        "and",
        "not",
        "!",
        "(",
        ")",
        "|",
        "&",
        ",",
        "=",
        ">=",
        "<",
        "!=",
        "1",
        "12.4",
        " ",
        "$",
        "é",
        "\x1f",
    ]
)
TEXT = st.one_of(
    st.lists(PIECES, max_size=40).map("".join),
    st.lists(PIECES, max_size=40).map(" ".join),
    st.text(max_size=200),
    st.text(string.punctuation, max_size=100),
)
LABELS = st.dictionaries(st.sampled_from(["a", "has:x", "1", "12.4"]), st.text(max_size=12), max_size=4)


@given(TEXT, LABELS)
def test_any_text_either_parses_and_judges_or_is_a_fault_with_a_hint(text: str, labels: dict[str, str]) -> None:
    fault = needs_fault(text)
    if fault is None:
        assert matches(text, labels) in (True, False)
        assert matches(text, labels) is matches(text, dict(reversed(labels.items())))
    else:
        assert fault.error.startswith("--needs: ")
        assert fault.error.isprintable()
        assert fault.hint


# -- against a plain reading -------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c")
TREE = st.recursive(
    st.sampled_from(NAMES),
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.just("|"), inner, inner),
        st.tuples(st.just("&"), inner, inner),
    ),
    max_leaves=12,
)


def written(tree: object) -> str:
    match tree:
        case ("not", inner):
            return f"!({written(inner)})"
        case (operator, left, right):
            return f"({written(left)}) {operator} ({written(right)})"
    return str(tree)


def judged(tree: object, labels: dict[str, str]) -> bool:
    match tree:
        case ("not", inner):
            return not judged(inner, labels)
        case ("|", left, right):
            return judged(left, labels) or judged(right, labels)
        case ("&", left, right):
            return judged(left, labels) and judged(right, labels)
    return tree in labels


@given(TREE, st.sets(st.sampled_from(NAMES)))
def test_judging_is_what_logic_says(tree: object, present: set[str]) -> None:
    labels = dict.fromkeys(present, "")
    assert matches(written(tree), labels) is judged(tree, labels)
