"""Where clicks may lead, who clicked, what strangers may read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.intake.rules import agent_of, fact_id, in_words, masked, may_lead_to, opened_by
from saas.intake.types import Agent


@pytest.mark.parametrize(
    "url", ["https://a.example", "http://a.example/b?c=d#e", "HTTPS://A.EXAMPLE/ä", "https://u@a.example/"]
)
def test_clicks_lead_to_the_web(url):
    assert may_lead_to(url)


@pytest.mark.parametrize(
    "url",
    ["", "javascript:alert(1)", "data:text/html,x", "mailto:a@b.example", "//a.example", "/x", "https://", "http:a.example",
     "https://a.example/\r\nSet-Cookie: a=b", "https://a.example/ b", "https://a.example/\x85", "https://[::1", "ftp://a.example"],
)  # fmt: skip
def test_and_nowhere_else(url):
    assert not may_lead_to(url)


@pytest.mark.parametrize(
    ("user_agent", "agent"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Agent.DESKTOP),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36", Agent.DESKTOP),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", Agent.MOBILE),
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", Agent.MOBILE),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Agent.MACHINE),
        ("BarracudaCentral/1.0", Agent.MACHINE),
        ("Mozilla/5.0 (Windows NT 6.1) SkypeUriPreview Preview/0.5", Agent.MACHINE),
        ("python-requests/2.32", Agent.MACHINE),
        ("curl/8.10", Agent.MACHINE),
        ("  ", Agent.MACHINE),
    ],
)  # fmt: skip
def test_programs_that_say_so_are_known(user_agent, agent):
    assert agent_of(user_agent) is agent


@pytest.mark.parametrize(
    ("user_agent", "agent"),
    [
        ("Mozilla/5.0", Agent.MACHINE),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", Agent.MACHINE),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", Agent.MACHINE),
        ("BarracudaCentral/1.0", Agent.MACHINE),
        ("", Agent.MACHINE),
        ("Mozilla/4.0 (compatible; ms-office; MSOffice 16)", Agent.DESKTOP),
        ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.1; Pro)", Agent.DESKTOP),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0", Agent.DESKTOP),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", Agent.MOBILE),
    ],
)
def test_proxies_that_fetch_images_are_known(user_agent, agent):
    assert opened_by(user_agent) is agent


@pytest.mark.parametrize(
    ("email", "shown"),
    [("camille@example.org", "c…e@example.org"), ("abc@example.org", "a…@example.org"), ("ab@x.example", "a…@x.example"),
     ("a@x.example", "…@x.example")],
)  # fmt: skip
def test_masked_addresses(email, shown):
    assert masked(email) == shown


@given(st.from_regex(r"[a-z0-9.]{1,20}", fullmatch=True))
def test_a_mask_never_tells_more_than_two_letters(local):
    assert len(masked(f"{local}@example.org").removesuffix("@example.org").replace("…", "")) <= min(2, len(local) - 1)


def test_topics_read_as_words():
    assert in_words("product_news") == "product news"


@given(st.lists(st.integers(0, 2**63), max_size=4), st.lists(st.integers(0, 2**63), max_size=4))
def test_one_fact_has_one_id(one, other):
    assert (fact_id("clicked", *one) == fact_id("clicked", *other)) == (one == other)
    assert fact_id("clicked", *one) != fact_id("unsubscribed", *one)
