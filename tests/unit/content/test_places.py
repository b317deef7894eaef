"""What a hole may do by the place where it stands in the HTML."""

import time

import pytest

from saas.content.rules.places import harmless, places

SURE = [
    ("<p>|</p>|", [], [0, 1]),
    ('<a href="|/0">|</a>', [0], [1]),
    ("<a href='|'>x</a><a HREF = \"|\">", [0, 1], []),
    ('<a title="|" href="https://x.example/|">|</a>', [], [2]),
    ('<img src="|" alt="|"/><br/>|', [0], [2]),
    ('<td style="width:1px"width="|">|</td>', [], [1]),
    ("<title>|</title><style>a{color:|}</style>|", [], [2]),
    ("<!-- note --><!doctype html>|", [], [0]),
    ("1 < 2 |", [], [0]),
    ('<a href="|{}|">x</a>', [0], []),
    ("<p>no holes</p>", [], []),
]
UNSURE = [
    '<a href="java|">',
    '<a href=" |">',
    "<a href=|>",
    "<a | href='x'>",
    "<| x>",
    "</a |>",
    "<!-- | -->",
    "<!--[if mso]><a href='|'><![endif]-->",
    "<!-- never closed",
    "<script>|</script>",
    "<textarea>|</textarea>",
    "<title>never closed |",
    '<a title="|',
    '<a title=foo"bar>|<b x="y">',
    "<svg><style><a href='|'></style></svg>",
    "<a href='javascript:x'>|</a>",
    "|<",
    "<p İ>|</p>",
]


@pytest.mark.parametrize(("source", "links", "texts"), SURE)
def test_plain_places_are_told_apart(source, links, texts):
    found = places(source.split("|"))
    assert (sorted(found.links), sorted(found.texts), found.unsure) == (links, texts, False)


@pytest.mark.parametrize("source", UNSURE)
def test_what_is_not_plain_is_unsure(source):
    assert places(source.split("|")).unsure


@pytest.mark.parametrize(
    ("html", "fine"),
    [
        ("", True),
        ("text", True),
        ("<p>a</p><BR/>", True),
        ('<a href="https://x.example">x</a>', True),
        ('<a href="javascript:x">x</a>', False),
        ("<script>", False),
        ("<script >x</script>", True),
        ("<Title>", False),
        ('<a href="', False),
        ("a <", False),
        ("<!--", False),
        ("<svg>", False),
    ],
)
def test_finished_html_is_harmless_on_its_own(html, fine):
    assert harmless(html) == fine


@pytest.mark.parametrize(
    "piece", ["<a ", "<", "<a href=x ", '<a b="', "<a b=c/", "<!--", "<p>", "<title>", " ", "<a\t"]
)
def test_hostile_sources_take_linear_time(piece):
    started = time.process_time()
    places([piece * (128_000 // len(piece)), "x"])
    harmless(piece * (128_000 // len(piece)))
    assert time.process_time() - started < 1
