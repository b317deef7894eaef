"""How many connections, from which address, under which name."""

from dataclasses import replace

import pytest

from saas.channels import rules
from saas.channels.types import ChannelDraft, Purpose, Security
from saas.kernel.errors import Invalid

DRAFT = ChannelDraft(
    name="Newsletter", purpose=Purpose.MARKETING, from_name="Northwind Outdoor",
    from_address="news@northwind.example", host="smtp.relay.example", port=587, security=Security.STARTTLS,
)  # fmt: skip
OWN = ("192.0.2.10", "2001:db8::10")


def faults(**changes):
    with pytest.raises(Invalid) as refused:
        rules.checked(replace(DRAFT, **changes), allow=(), sources=OWN)
    return {fault.pointer: fault.message for fault in refused.value.faults}


@pytest.mark.parametrize(("given", "kept"), [
    ("mail.northwind.example", "mail.northwind.example"), (" Mail.Northwind.Example. ", "mail.northwind.example"),
    ("localhost", "localhost"), ("[192.0.2.10]", "[192.0.2.10]"), ("[IPv6:2001:DB8:0::10]", "[IPv6:2001:db8::10]"),
    (None, None), ("", None),
])  # fmt: skip
def test_a_greeting_is_a_host_name_or_an_address_literal(given, kept):
    assert rules.checked(replace(DRAFT, ehlo_name=given), allow=()).ehlo_name == kept


@pytest.mark.parametrize(
    "given",
    [
        "192.0.2.10",
        "a b",
        "a_b.example",
        "-a.example",
        "bücher.example",
        "a..b",
        "a\r\nQUIT",
        "[x]",
        "[]",
        "a" * 64,
        "1.2",
    ],
)
def test_nothing_else_is_said_to_a_server(given):
    assert set(faults(ehlo_name=given)) == {"/ehlo_name"}


def test_an_address_of_this_installation_may_be_chosen():
    def chosen(address):
        return rules.checked(replace(DRAFT, source_address=address), allow=(), sources=OWN).source_address

    assert chosen(" 192.0.2.10 ") == "192.0.2.10"
    assert chosen("2001:db8:0:0::10") == "2001:db8::10"
    assert chosen(None) is None
    assert "192.0.2.10, 2001:db8::10" in faults(source_address="192.0.2.11")["/source_address"]
    assert "Not an IP address" in faults(source_address="mail.northwind.example")["/source_address"]
    with pytest.raises(Invalid) as refused:
        rules.checked(replace(DRAFT, source_address="192.0.2.10"), allow=())
    assert "SOURCE_ADDRESSES" in refused.value.faults[0].message


@pytest.mark.parametrize("count", [0, -1, 51])
def test_connections_have_a_limit(count):
    assert set(faults(connections=count)) == {"/connections"}
    assert rules.checked(replace(DRAFT, connections=50), allow=()).connections == 50
