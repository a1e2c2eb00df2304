"""The TSV codec: whatever a value holds, a line has 131 columns and no more lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.event import WIDTH
from shared.tsv import decode, encode, lines

texts = st.text(st.characters(codec="utf-8"), max_size=20)
harmless = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), max_size=20)


@given(st.lists(harmless, min_size=WIDTH, max_size=WIDTH))
def test_values_survive(values: list[str]) -> None:
    assert decode(encode(values)) == values


@given(st.dictionaries(st.integers(0, WIDTH - 1), texts))
def test_no_value_breaks_the_line(chosen: dict[int, str]) -> None:
    line = encode([chosen.get(column, "") for column in range(WIDTH)])
    assert len(decode(line)) == WIDTH
    assert lines(line) == [line]


@pytest.mark.parametrize("column", range(WIDTH))
def test_tabs_become_spaces_and_line_ends_vanish(column: int) -> None:
    values = [f"value {number}" for number in range(WIDTH)]
    assert decode(encode([*values[:column], "a\tb\r\nc", *values[column + 1 :]])) == [
        *values[:column],
        "a    bc",
        *values[column + 1 :],
    ]


def test_lone_surrogates_become_question_marks() -> None:
    assert encode(["\ud800"] + [""] * (WIDTH - 1)).startswith(b"?\t")


@pytest.mark.parametrize("columns", [1, WIDTH - 1, WIDTH + 1])
def test_other_widths_are_refused(columns: int) -> None:
    with pytest.raises(ValueError, match=f"{columns} columns"):
        decode(b"\t" * (columns - 1))


def test_a_chunk_is_lines() -> None:
    assert lines(b"a\nb") == [b"a", b"b"]
