"""Pieces in quoted-printable, encoded alone, are together what the whole text says."""

import quopri

from hypothesis import given
from hypothesis import strategies as st

from saas.content.rules import quoted
from saas.content.rules.natives import Unescaped

texts = st.text(st.characters(blacklist_categories=("Cs",)) | st.sampled_from(" =.\n\r\t-x")) | st.integers(0, 200).map(
    lambda count: "x" * count
)


def plain(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(st.lists(st.tuples(texts, texts)), texts)
def test_pieces_make_up_the_whole(pairs, end):
    raw = b"".join(quoted.literal(plain(one), before_hole=True) + quoted.cell(two) for one, two in pairs)
    raw += quoted.literal(plain(end), before_hole=False)
    expected = "".join(plain(one) + plain(two) for one, two in pairs) + plain(end)
    assert quopri.decodestring(raw).decode().replace("\r\n", "\n") == expected
    lines = raw.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert b"." not in lines[:-1]
    assert b"=" not in lines
    assert not any(line.endswith((b" ", b"\t")) for line in lines)
    assert b"\n" not in raw.replace(b"\r\n", b"") and raw.isascii()


@given(st.lists(texts | texts.map(Unescaped)))
def test_values_are_encoded_for_both_parts_at_once(values):
    text, html = quoted.cells(values)
    assert text == [quoted.cell(str(value)) for value in values]
    for value, encoded in zip(values, html, strict=True):
        shown = quopri.decodestring(encoded).decode().replace("\r\n", "\n")
        if type(value) is Unescaped:
            assert shown == plain(value)
        else:
            assert not set(shown) & set("<>\"'")
            assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'").replace("&#34;", '"').replace(
                "&amp;", "&"
            ) == plain(value)


def test_nothing_is_encoded_as_nothing():
    assert quoted.cell("") == b""
    assert quoted.literal("", before_hole=True) == b""
    assert quoted.cell("Ann ") == b"Ann =\r\n"
    assert quoted.literal("Dear ", before_hole=True) == b"Dear =\r\n"
    assert quoted.literal("Dear ", before_hole=False) == b"Dear=20"
