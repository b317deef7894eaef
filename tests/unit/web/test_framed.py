"""The frame of a message is as high as the message is long, about."""

import pytest

from saas.content.rules.links import OPEN_IMAGE
from saas.web.framed import mail_size
from tests import scenes

HEAD = f"<html><head><style>{'p { color: #123; } ' * 400}</style></head><body>"


@pytest.mark.parametrize(
    ("html", "size"),
    [
        ("", ""),
        ("Hello", ""),
        (scenes.HTML, ""),
        (scenes.HTML + OPEN_IMAGE, ""),
        (HEAD + "<p>Hello</p><p>The sale begins.</p>", ""),
        ("<p>Hello</p>" * 8, "mail-m"),
        ("<P>Hello</P><IMG src='x'><P>Bye</P>", "mail-m"),
        ("<p>" + "word " * 150, "mail-m"),
        ("<p>Hello</p>" * 30, "mail-l"),
        ("<img src='x'>" * 4, "mail-l"),
        ("word " * 2_000, "mail-l"),
        ("<" * 1_000_000, "mail-l"),
    ],
)
def test_a_longer_message_has_a_higher_frame(html, size):
    assert mail_size(html) == size
