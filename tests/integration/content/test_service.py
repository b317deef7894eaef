"""From a draft's content to the message on the wire."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from uuid import UUID

import pytest

from saas.content.rules import links, tokens
from saas.content.service.letters import check_email, merge_row, render_email
from saas.content.types import BadHeader, EmailContent, Purpose, Rendered, RenderFailure, Sender, TemplateError
from tests.letters import Addressing, build

KNOWN = frozenset(
    {
        "contact.email",
        "contact.first_name",
        "contact.city",
        "context.*",
        "campaign.name",
        "workspace.name",
        "unsubscribe_url",
    }
)
NEWS = EmailContent(
    subject="{{ contact.first_name | default: 'Hello' }}, spring is here",
    html="""<html><body><p>Dear {{ contact.first_name | default: "friend" }},</p>
{% if contact.city %}<p>See you in {{ contact.city }}.</p>{% endif %}
<p><a href="https://shop.northwind.example/?a=1&amp;b=2">Shop</a> <a href='https://northwind.example/'>Home</a></p>
<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>
""",
    text="Dear {{ contact.first_name }}\n.\nhttps://shop.northwind.example/?a=1&b=2\n{{ unsubscribe_url }}\n",
    preheader="New & light, {{ contact.first_name }}",
)
TENANT = UUID("0198f5a2-7b1c-7000-8000-000000000001")


def row(first_name="Ann", **contact):
    key = tokens.subkey(bytes(32), tenant_id=TENANT, purpose=Purpose.CLICK)
    token = tokens.make(key, purpose=Purpose.CLICK, tenant_id=TENANT, entry_id=7, step_no=1)
    return merge_row(
        contact={"first_name": first_name, **contact},
        campaign_name="Spring",
        workspace_name="Northwind Outdoor",
        unsubscribe_url="https://go.northwind.example/u/abc",
        click_url=f"https://go.northwind.example/c/{token}",
    )


def addressing():
    return Addressing(
        sender=Sender("Northwind Outdoor", "news@northwind.example"),
        to="ann@example.org",
        message_id="<7.1@northwind.example>",
        date=datetime(2026, 3, 4, tzinfo=UTC),
        unsubscribe_url="https://go.northwind.example/u/abc",
    )


def faults(renderer, content, *, marketing=True):
    with pytest.raises(TemplateError) as refused:
        check_email(renderer, content, known=KNOWN, marketing=marketing)
    return {(fault.pointer, fault.message) for fault in refused.value.faults}


def test_sound_content_says_what_it_reads_and_where_it_leads(renderer):
    checked = check_email(renderer, NEWS, known=KNOWN, marketing=True)
    assert checked.content == NEWS
    assert checked.used == {"contact.first_name", "contact.city", "unsubscribe_url"}
    assert checked.links == ("https://shop.northwind.example/?a=1&b=2", "https://northwind.example/")


def test_the_preview_is_what_is_sent(renderer):
    tracked = links.track(NEWS)
    (preview,) = render_email(renderer, tracked.content, [row("Åsa <b>")])
    (sent, other) = render_email(renderer, tracked.content, [row("Åsa <b>"), row("Bo")])
    assert preview == sent != other
    message = message_from_bytes(build(sent, addressing()), policy=policy.default)
    text, html = (part.get_payload(decode=True) for part in message.iter_parts())
    assert html == preview.html.replace("\n", "\r\n").encode()
    assert text == preview.text.replace("\n", "\r\n").encode()
    assert message["Subject"] == preview.subject == "Åsa <b>, spring is here"
    assert "Dear Åsa &lt;b&gt;," in preview.html
    assert "New &amp; light, Åsa &lt;b&gt;" in preview.html
    assert preview.html.count("https://go.northwind.example/c/AQ") == 2
    assert '/0">Shop</a>' in preview.html
    assert "shop.northwind.example" not in preview.html + preview.text
    assert '<a href="https://go.northwind.example/u/abc">' in preview.html
    assert sent.text.splitlines()[2].endswith("/0")


def test_untracked_content_keeps_its_links(renderer):
    (made,) = render_email(renderer, NEWS, [row()])
    assert 'href="https://shop.northwind.example/?a=1&amp;b=2"' in made.html


def test_a_missing_text_part_is_made_and_checked(renderer):
    checked = check_email(renderer, replace(NEWS, text=" "), known=KNOWN, marketing=True)
    assert "[Unsubscribe]({{ unsubscribe_url }})" in checked.content.text
    (made,) = render_email(renderer, links.track(checked.content).content, [row()])
    assert "Dear Ann," in made.text
    assert "/c/AQ" in made.text


def test_each_fault_points_at_its_part(renderer):
    content = EmailContent(
        subject="{{ contact.frist_name }}", html="<p>\n{{ contact.email | nope }}", text="{% if %}", preheader="{{ x }}"
    )
    found = faults(renderer, content)
    assert {pointer for pointer, _ in found} == {"/subject", "/html", "/text", "/preheader"}
    assert any(message.startswith("line 2, column 20: ") for pointer, message in found if pointer == "/html")


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"subject": "  "}, "/subject", "needs a subject"),
        ({"subject": "a\nb"}, "/subject", "single line"),
        ({"subject": "a\x00b"}, "/subject", "single line"),
        ({"html": ""}, "/html", "needs content"),
        ({"html": "a" * (128 * 1024 + 1)}, "/html", "128 KB"),
        ({"html": NEWS.html.replace("{{ unsubscribe_url }}", "https://x.example")}, "/html", "unsubscribe_url"),
        ({"text": "none"}, "/text", "unsubscribe_url"),
        ({"html": NEWS.html + '<a href="javascript:x">'}, "/html", "line 5, column 10: "),
        ({"html": NEWS.html + "{% assign unsubscribe_url = 'x' %}"}, "/html", "fixed meaning"),
        ({"html": NEWS.html + "{{ click_url }}"}, "/html", "no variable"),
        ({"html": NEWS.html + "{{ open_url }}"}, "/html", "no variable"),
        ({"html": NEWS.html + "{% for contact in context.x %}{% endfor %}"}, "/html", "fixed meaning"),
        ({"html": NEWS.html + "{{ now }}"}, "/html", "no variable"),
    ],
)
def test_unsound_content_is_refused(renderer, change, pointer, words):
    assert any(where == pointer and words in message for where, message in faults(renderer, replace(NEWS, **change)))


def test_html_without_words_asks_for_a_text(renderer):
    found = faults(renderer, EmailContent("s", '<img src="https://x.example/a.png">'), marketing=False)
    assert ("/text", "No text can be derived from the HTML part; write the text part.") in found


def test_transactional_content_needs_no_unsubscribe(renderer):
    content = EmailContent("Reset", "<p>{{ context.link }}</p>", "{{ context.link }}")
    assert check_email(renderer, content, known=KNOWN, marketing=False).used == {"context.link"}


@pytest.mark.parametrize("name", ["a\x00b", "a\x1bb", "=?utf-8?q?Bob=0D=0ABcc:_evil@x.example?=", "x" * 1000])
def test_a_hostile_name_fails_its_person_only(renderer, name):
    made = render_email(renderer, links.track(NEWS).content, [row(), row(name), row("Bo")])
    assert isinstance(made[1], RenderFailure)
    assert made[1].reason.startswith("subject: ")
    assert isinstance(made[0], Rendered)
    assert isinstance(made[2], Rendered)


@pytest.mark.parametrize("name", ["a\r\nBcc: evil@x.example", "a\nBcc: evil@x.example", "a\u2028Bcc: evil@x.example"])
def test_a_line_break_in_a_name_becomes_a_space_in_the_subject(renderer, name):
    content = EmailContent("Hi {{ contact.first_name }}", "h", "t")
    (made,) = render_email(renderer, content, [row(name)])
    assert made.subject == "Hi a Bcc: evil@x.example"
    parsed = message_from_bytes(build(made, addressing()), policy=policy.default)
    assert parsed["Bcc"] is None
    assert parsed["Subject"] == "Hi a Bcc: evil@x.example"


def test_decoded_line_breaks_are_neutral_after_rendering(renderer):
    content = EmailContent("Hi {{ contact.first_name | url_decode }}", "h", "t")
    (made,) = render_email(renderer, content, [row("a%0d%0aBcc: evil@x.example")])
    assert "Bcc" not in message_from_bytes(build(made, addressing()), policy=policy.default)


def test_an_address_made_by_a_merge_value_is_judged(renderer):
    content = EmailContent("s", '<a href="{{ contact.first_name }}">x</a>', "t")
    made = render_email(
        renderer, content, [row("https://x.example"), row("javascript:alert(1)"), row("JAVA\nSCRIPT:x"), row("")]
    )
    assert [isinstance(each, Rendered) for each in made] == [True, False, False, True]


def test_layout_around_a_subject_is_no_fault(renderer):
    content = EmailContent("{% if contact.city %} In {{ contact.city }} {% endif %}Hi ", "h", "t")
    (made, empty) = render_email(renderer, content, [row(city="Bern"), row()])
    assert (made.subject, empty.subject) == ("In Bern Hi", "Hi")
    (blank,) = render_email(renderer, EmailContent("{{ contact.city }}", "h", "t"), [row()])
    assert blank == RenderFailure("subject: it is empty")


def test_a_bad_address_is_that_persons_failure(renderer):
    (made,) = render_email(renderer, NEWS, [row()])
    with pytest.raises(BadHeader):
        build(made, replace(addressing(), to="a@b.example\r\nBcc: x"))
