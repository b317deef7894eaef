"""Where Liquid stands, what must be shown, the preheader, and texts made of HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.content.rules import markup
from saas.content.rules.plain import text_from_html
from saas.content.types import EmailContent

sources = st.lists(
    st.sampled_from(["{{", "}}", "{%", "%}", "raw", "endraw", "comment", " ", "-", "a", "<a>", "\n"])
).map("".join)


@given(sources)
def test_pieces_join_to_the_source_and_the_mask_keeps_offsets(source):
    assert "".join(piece for piece, _ in markup.pieces(source)) == source
    assert len(markup.mask(source)) == len(source)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ unsubscribe_url }}", True),
        ("{{unsubscribe_url}}", True),
        ("{{- unsubscribe_url -}}", True),
        ("{{ unsubscribe_url | escape }}", True),
        ("{{ unsubscribe_url_x }}", False),
        ("{{ 'unsubscribe_url' }}", False),
        ("{% comment %}{{ unsubscribe_url }}{% endcomment %}", False),
        ("{% raw %}{{ unsubscribe_url }}{% endraw %}", False),
        ("{% if unsubscribe_url %}{% endif %}", False),
        ("unsubscribe_url", False),
    ],
)
def test_the_unsubscribe_address_must_be_shown(source, shown):
    missing = markup.missing_unsubscribe(EmailContent("s", source, "{{ unsubscribe_url }}"))
    assert missing == (() if shown else ("html",))


def test_the_preheader_is_text_and_comes_first_in_the_body():
    content = EmailContent("s", '<html><BODY class="x"><p>hi</p>', preheader="a < b & {{ contact.x | append: '<' }}")
    assert markup.with_preheader(content) == (
        '<html><BODY class="x"><div style="display:none;max-height:0;overflow:hidden">'
        "a &lt; b &amp; {{ contact.x | append: '<' }}</div><p>hi</p>"
    )


def test_without_preheader_the_html_is_untouched():
    assert markup.with_preheader(EmailContent("s", "<p>")) == "<p>"


def test_text_keeps_liquid_and_links():
    source = """<html><head><style>p { color: red }</style><title>No</title></head><body>
    <h1>Hello {{ contact.first_name | default: "you" }}</h1>
    {% for item in context.items %}<p>{{ item.name }}: {{ item.price }}</p>{% endfor %}
    <p><a href="https://x.example/?a=1&amp;b={{ contact.code }}">Offer</a></p>
    <p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>"""
    text = text_from_html(source)
    assert 'Hello {{ contact.first_name | default: "you" }}' in text
    assert "{% for item in context.items %}" in text
    assert "{{ item.name }}: {{ item.price }}" in text
    assert "[Offer](https://x.example/?a=1&b={{ contact.code }})" in text
    assert "[Unsubscribe]({{ unsubscribe_url }})" in text
    assert "color" not in text
    assert "No" not in text


@pytest.mark.parametrize("source", ["", "   ", "<p></p>", "<!-- x -->", "<div>" * 20000])
def test_html_without_words_makes_an_empty_text(source):
    assert text_from_html(source).strip() == ""


@pytest.mark.parametrize("source", ["\x00", "<p>\ud800</p>", "\ue0010\ue002", "<table><td colspan=99999999>x"])
def test_odd_html_makes_no_error(source):
    assert isinstance(text_from_html(source), str)


@pytest.mark.parametrize(
    "source", ["<p>x</p><!-- {{ unsubscribe_url }} -->", "<!-- <a href='{{ unsubscribe_url }}'>x</a>"]
)
def test_an_unsubscribe_link_in_a_comment_shows_nothing(source):
    assert markup.missing_unsubscribe(EmailContent("s", source, "{{ unsubscribe_url }}")) == ("html",)
