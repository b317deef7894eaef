"""The short way to an address and email-validator always agree."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from saas.audiences.rules.addresses import _read_slowly, read_address
from saas.audiences.types import Unfit

LOCALS = st.one_of(
    st.text("abcXYZ019._+-", min_size=0, max_size=70),
    st.text(min_size=1, max_size=5),
    st.sampled_from(["Postmaster", "INFO", "admin", "a" * 64, "a" * 65, "почта", "e\u0301"]),
)
DOMAINS = st.sampled_from(
    ["example.com", "Mail.EXAMPLE.com", "пример.example.com", "xn--e1afmkfd.example.com", "-example.com", "a", "test",
     "a_b.example.com", "x.local", "ab--cd.example.com", "example.com.", "1.2", "[127.0.0.1]", "d" * 63 + ".example.com",
     ".".join(["ж" * 20] * 4) + ".example.com", "ПРИМЕР.example.com", "пример.рф", "\u202e.com", "a\u00ad.com",
     ".".join(["d" * 63] * 3) + ".example.com", ".".join(["d" * 60] * 3) + ".xn--e1afmkfd.com", ""],
)  # fmt: skip


def outcome(read, text):
    try:
        return read(text)
    except Unfit as error:
        return str(error)


@given(LOCALS, DOMAINS, st.sampled_from(["@", "@@", ""]), st.sampled_from(["", " ", "\n"]))
@example("a" * 64, ".".join(["d" * 63] * 3) + ".example.com", "@", "")
def test_both_ways_agree(local, domain, sign, blank):
    text = f"{blank}{local}{sign}{domain}{blank}"
    assert outcome(read_address, text) == outcome(lambda t: _read_slowly(t.strip()), text)


def test_address_is_trimmed_and_its_key_folded():
    assert read_address(" Ann.Lee@Example.COM \n") == ("Ann.Lee@example.com", "ann.lee@example.com")


@pytest.mark.parametrize("text", ["", "  ", "a@b", "a b@example.com", "a@example..com", "=a@@example.com"])
def test_refused_with_a_sentence(text):
    with pytest.raises(Unfit, match=r"\."):
        read_address(text)
