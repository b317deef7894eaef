"""Cells to values: dates in many forms, numbers, consent words."""

import pytest

from saas.audiences.rules.cells import DateEvidence, DateOrder, read_boolean, read_date, read_number, says_yes
from saas.audiences.types import Unfit


@pytest.mark.parametrize("word", ["yes", "TRUE", " 1 ", "on", "Y", "t"])
def test_words_of_consent(word):
    assert says_yes(word)


@pytest.mark.parametrize("word", ["", "no", "да", "2", "yes please", "0", "x"])
def test_anything_else_is_no_consent(word):
    assert not says_yes(word)


@pytest.mark.parametrize(
    ("text", "order", "found"),
    [
        ("1993-01-06", DateOrder.UNKNOWN, "1993-01-06"),
        ("1993/1/6", DateOrder.UNKNOWN, "1993-01-06"),
        ("06.01.1993", DateOrder.UNKNOWN, "1993-01-06"),
        ("06/01/1993", DateOrder.DAY_FIRST, "1993-01-06"),
        ("06/01/1993", DateOrder.MONTH_FIRST, "1993-06-01"),
        ("26/01/1993", DateOrder.MIXED, "1993-01-26"),
        ("01/26/1993", DateOrder.DAY_FIRST, "1993-01-26"),
        ("05/05/1993", DateOrder.UNKNOWN, "1993-05-05"),
    ],
)
def test_dates(text, order, found):
    assert read_date(text, order) == found


@pytest.mark.parametrize(
    "text", ["06/01/1993", "31/02/1993", "1993-13-01", "soon", "06/01/93", "٠٦/٠١/١٩٩٣", "13/13/1993"]
)
def test_dates_that_could_be_two_or_none(text):
    with pytest.raises(Unfit):
        read_date(text, DateOrder.UNKNOWN)


def test_order_is_learnt_from_dates_that_leave_no_choice():
    evidence = DateEvidence()
    evidence.look("06/01/1993")
    assert evidence.order is DateOrder.UNKNOWN
    evidence.look("26/01/1993")
    assert evidence.order is DateOrder.DAY_FIRST
    evidence.look("01/26/1993")
    assert evidence.order is DateOrder.MIXED


@pytest.mark.parametrize(("text", "found"), [("10", 10), ("-3.50", -3.5), ("1 234,5", 1234.5), ("1\u00a0000", 1000)])
def test_numbers(text, found):
    assert read_number(text) == found


@pytest.mark.parametrize("text", ["n/a", "1,234", "nan", "inf", "1e5", "0x1", "9" * 30, "١٢", "1.2.3"])
def test_what_is_no_number(text):
    with pytest.raises(Unfit):
        read_number(text)


def test_booleans():
    assert read_boolean("Yes") is True
    assert read_boolean("off") is False
    with pytest.raises(Unfit):
        read_boolean("perhaps")
