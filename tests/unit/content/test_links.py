"""Links: which are found, which are numbered, which are refused."""

import time

import pytest

from saas.content.rules import links, markup
from saas.content.types import EmailContent


def urls(source):
    return [link.url for link in links.in_html(source)]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('<a href="https://x.example/?a=1&amp;b=2">', ["https://x.example/?a=1&b=2"]),
        ("<a href='https://x.example/'>", ["https://x.example/"]),
        ('<A\n CLASS=x HREF = "HTTPS://x.example" >', ["HTTPS://x.example"]),
        ("<a href=https://x.example/a>", ["https://x.example/a"]),
        ('<area shape="rect" href="tel:+4912">', ["tel:+4912"]),
        ('<a href=" https://x.example/\n">', ["https://x.example/"]),
        ('<a title="a > b" href="https://x.example/">', ["https://x.example/"]),
        ('<a data-href="https://no.example" href="https://x.example/">', ["https://x.example/"]),
        ('<a href="https://x.example/?q=&#x41;&quot;">', ['https://x.example/?q=A"']),
        ('<a name="here">', []),
        ('<abbr href="https://x.example">', []),
        ('<!-- <a href="https://x.example"> --><a href="https://y.example">', ["https://y.example"]),
        ('<style>a > b { } <a href="https://x.example"></style><a href="https://y.example">', ["https://y.example"]),
        ('{% comment %}<a href="https://x.example">{% endcomment %}', []),
        ('{% raw %}<a href="https://x.example">{% endraw %}', []),
        ('{% if a < b and b > c %}<a href="https://x.example">{% endif %}', ["https://x.example"]),
        ("{{ '<a href=\"https://x.example\">' }}", []),
        (
            '<a {% if vip %}href="https://a.example"{% else %}href="https://b.example"{% endif %}>',
            ["https://a.example", "https://b.example"],
        ),
        ('a < b <a href="https://x.example">', ["https://x.example"]),
        ('<a href="https://x.example', []),
    ],
)
def test_links_are_found_as_browsers_find_them(source, found):
    assert urls(source) == found


def test_numbers_follow_first_appearance_and_are_shared_with_the_text():
    content = EmailContent(
        subject="s",
        html="<a href=\"https://b.example/?x=1&amp;y=2\">1</a> <a href='https://a.example'>2</a> "
        "<a href=https://b.example/?x=1&amp;y=2>3</a>",
        text="See https://a.example. Or (https://c.example/f_(x)), https://b.example/?x=1&y=2",
    )
    tracked = links.track(content)
    assert tracked.links.urls == ("https://b.example/?x=1&y=2", "https://a.example", "https://c.example/f_(x)")
    assert tracked.content.html == (
        '<a href="{{ click_url }}/0">1</a> <a href=\'{{ click_url }}/1\'>2</a> <a href="{{ click_url }}/0">3</a>'
        + links.OPEN_IMAGE
    )
    assert tracked.content.text == "See {{ click_url }}/1. Or ({{ click_url }}/2), {{ click_url }}/0"


@pytest.mark.parametrize(
    "source",
    [
        '<a href="{{ unsubscribe_url }}">',
        '<a href="https://x.example/?u={{ contact.email | url_encode }}">',
        '<a href="https://x.example/{% if a %}b{% endif %}">',
        '<a href="mailto:a@x.example">',
        '<a href="tel:+491234">',
        '<a href="#top">',
    ],
)
def test_links_with_merge_fields_and_other_schemes_are_left_alone(source):
    tracked = links.track(EmailContent("s", source))
    assert tracked.content.html == source + links.OPEN_IMAGE
    assert tracked.links.urls == ()
    assert links.flaws(source) == ()


def test_text_addresses_with_merge_fields_are_left_alone():
    source = "https://x.example/{{ contact.code }} and {{ unsubscribe_url }}"
    assert links.track(EmailContent("s", "h", source)).content.text == source


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "&#106;avascript:alert(1)",
        "\x01javascript:alert(1)",
        "javascript:{{ contact.x }}",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//x.example/",
        "/relative",
        "x.html",
        "www.{{ contact.x }}",
        "",
        "https://",
        "https://[bad",
        "https://x.example/a b",
        "https://x.example/\u2028",
        "https://x.example/" + "a" * 2000,
    ],
)
def test_other_addresses_are_refused_with_their_place(href):
    (flaw,) = links.flaws(f'<p>\n  <a href="{href}">x</a>')
    assert (flaw.line, flaw.column) == (2, 12)


def test_a_merge_field_needs_quotes_around_it():
    (flaw,) = links.flaws("<a href={{ contact.url }}>")
    assert "quotes" in flaw.message


@pytest.mark.parametrize(
    "rendered",
    [
        '<a href="javascript:alert(1)">',
        "<a HREF = 'jAvascript:x'>",
        "<a href=javascript:x>",
        '<a href="&#106;avascript:x">',
        '<a href="java&#10;script:x">',
        '<a href=" \x01data:text/html,x">',
    ],
)
def test_rendered_html_is_judged_again(rendered):
    assert links.forbidden_href(rendered)


@pytest.mark.parametrize(
    "href", ["https://x.example", "HTTP://x.example", "mailto:a@b", "tel:1", "#a", "", "x.example/a:b"]
)
def test_rendered_html_with_allowed_links_passes(href):
    assert not links.forbidden_href(f'<a href="{href}">')


@pytest.mark.parametrize(
    "unit",
    [
        "<a ",
        "<!--",
        "<a href='",
        '<a "',
        "{{",
        "{%",
        "{% raw %}",
        "{% comment %}{{",
        "<body",
        "https://x)",
        "))",
        "<style>",
        "href=",
        "<a href=x>",
        "<",
        "&#x",
    ],
)
def test_hostile_sources_take_linear_time(unit):
    judge_in_time("https://" + unit * (128 * 1024 // len(unit)))


@pytest.mark.parametrize("filler", ["x", " ", "x ", "x= ", "x='' ", "/", "=", "\n"])
def test_hostile_tags_take_linear_time(filler):
    judge_in_time("<a " + filler * (128 * 1024 // len(filler)) + ">")


def judge_in_time(source):
    started = time.process_time()
    links.flaws(source)
    links.track(EmailContent("s", source, source))
    links.forbidden_href(source)
    markup.with_preheader(EmailContent("s", source, preheader=source))
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<html><body><p>x</p>", "</body></html>"),
        ("<BODY>x", "</BODY >"),
        ("x", ""),
        ("", ""),
        ("<body>x</body> y", "</body><!-- </body> -->"),
        ("<body>{% comment %}</body>{% endcomment %}x", "</body>"),
        ("<body>{{ '</body>' }}", ""),
        ("<body><!-- </body>", ""),
    ],
)
def test_the_image_of_opens_stands_before_the_end_of_the_body(before, after):
    tracked = links.track(EmailContent("s", before + after, "text"))
    assert tracked.content.html == before + links.OPEN_IMAGE + after
    assert (tracked.content.text, tracked.links.urls) == ("text", ())
