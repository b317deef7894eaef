"""A letter compiled once and written to many says what Liquid itself says to each, in sound messages."""

import quopri
from collections import Counter
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.content.jail import child
from saas.content.jail.renderer import Renderer
from saas.content.rules import links, words
from saas.content.rules.headers import guard_value
from saas.content.service.letters import check_email, compile_letter, merge_row, render_email
from saas.content.types import (
    Addressee,
    EmailContent,
    FailureKind,
    Letterhead,
    Rendered,
    RenderFailure,
    Sender,
)
from saas.kernel import fault
from tests.tally import size

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
NORTHWIND = Letterhead(
    Sender("Northwind Outdoor", "news@northwind.example", reply_to="care@northwind.example"),
    marketing=True,
    list_id="news.northwind.example",
    campaign_id="cam_0123",
)
UNSUBSCRIBE = "https://go.northwind.example/u/AQGY9aJ7HHAAgAAAAAAAAAEAAAAAAAAABwADhFPHhneXINjWZwF0oYLR9w"
CLICK = "https://go.northwind.example/c/AQGY9aJ7HHAAgAAAAAAAAAEAAAAAAAAABwADhFPHhneXINjWZwF0oYLR9x"


def person(contact=None, context=None, **changes):
    facts = {"to": "ann@example.org", "message_id": "<7.1@northwind.example>", "unsubscribe_url": UNSUBSCRIBE}
    return Addressee(**({"contact": contact or {}, "context": context or {}, "click_url": CLICK} | facts | changes))


def letter(renderer, content, letterhead=NORTHWIND):
    return compile_letter(renderer, content, letterhead, campaign_name="Spring", workspace_name="Northwind Outdoor")


def write(renderer, content, people, letterhead=NORTHWIND):
    return list(letter(renderer, content, letterhead).write(people, date=WHEN))


def reread(raw):
    """Return (message, text, html) as mail programs see them, having checked what holds for every message."""
    lines = raw.split(b"\r\n")
    assert b"\r" not in raw.replace(b"\r\n", b"") and b"\n" not in raw.replace(b"\r\n", b"")
    head = lines.index(b"")
    assert max(map(len, lines[:head])) <= 998
    assert max(map(len, lines[head:])) <= 76
    assert raw.isascii()
    message = message_from_bytes(raw, policy=policy.default)
    assert not message.defects
    text, html = message.iter_parts()
    assert [text.get_content_type(), html.get_content_type()] == ["text/plain", "text/html"]
    assert not text.defects + html.defects
    return message, *(part.get_payload(decode=True).decode().replace("\r\n", "\n") for part in (text, html))


def row_of(someone):
    return merge_row(
        contact=someone.contact,
        context=someone.context,
        campaign_name="Spring",
        workspace_name="Northwind Outdoor",
        unsubscribe_url=someone.unsubscribe_url,
        click_url=someone.click_url,
    )


def liquid(content, someone):
    """Return subject, html and text as Liquid itself renders them, or None where there is no message."""
    try:
        subject = child.PLAIN.from_string(content.subject).render(row_of(someone))
        html = child.HTML.from_string(content.html).render(row_of(someone))
        text = child.PLAIN.from_string(content.text).render(row_of(someone))
        subject = guard_value(words._LINE_ENDS.sub(" ", subject).strip())
        (html + text).encode()
    except Exception:  # noqa: BLE001  whatever Liquid or the guard refuses
        return None
    return None if not subject or links.forbidden_href(html) else Rendered(subject, html, text)


FIELDS = [
    "{{ contact.a }}",
    "{{ contact.b | default: 'friend' }}",
    "{{ contact.c | upcase | strip }}",
    "{{ contact.a | capitalize | default: '<b>&' | downcase }}",
    "{{ contact.b | strip | default: '' | default: \"O'Hara \" | upcase }}",
    "{{ contact.b.x }}",
    "{{ contact.a.size }}",
    "{{- contact.c -}}",
    "{{ context.d | default: 'x = y' }}",
    "{{ context.deep.er.value }}",
    "{{ context.deep }}",
    "{{ workspace.name }}",
    "{{ unsubscribe_url }}",
    "{{ click_url }}/3",
    "{{ nowhere }}",
    "{{ contact['b'] }}",
    "{{ contact.a | default: 'x', allow_false: true }}",
    "{{ contact.a | default: 5 }}",
    "{{ contact.a | append: '<i>' }}",
    "{{ '<i>' | append: contact.a }}",
    "{{ contact.c | truncate: 5 }}",
    "{{ contact.a | newline_to_br }}",
    "{{ contact.a if contact.b else 'no' }}",
    "{{ mine }}",
]
BLOCKS = [
    "{% if contact.a %}<b>{{ contact.a }}</b>{% else %}none{% endif %}",
    "{% for i in contact.c %}<li>{{ i }}{{ forloop.index }}</li>{% endfor %}",
    "{% assign mine = contact.b %}",
    "{% assign contact = context %}{{ contact.d }}",
    "{% if true %}{% capture contact %}x{% endcapture %}{% endif %}{{ contact.a }}",
    "{% capture mine %}<u>{{ contact.a }}</u>{% endcapture %}",
    "{% increment n %}",
    "{% cycle 'a', 'b' %}",
    "{% ifchanged %}{{ contact.a }}{% endifchanged %}",
    "{% comment %} {{ contact.a }} {% endcomment %}",
    "{% raw %}{{ contact.a }}\r{% endraw %}",
    "{% liquid\n assign mine = contact.c\n echo mine\n %}",
    "{% unless contact.b %}{% break %}{% endunless %}",
    '{% if contact.b %}<a href="{{ contact.a }}">x</a>{% endif %}',
    '<a href="{{ contact.a }}">x</a>',
    '<a title="{{ contact.a }}" href="{{ click_url }}/0">x</a>',
]
LITERALS = [
    "",
    " ",
    "Hello ",
    "\n",
    "\r\n",
    ".",
    "\n.\n",
    "é",
    "=",
    "100 % = all",
    "<p>",
    "</p>\n",
    "x" * 90,
    "Привет",
    " \n",
]
sources = st.lists(st.sampled_from(LITERALS * 2 + FIELDS * 2 + BLOCKS), max_size=12).map("".join)
subjects = st.lists(st.sampled_from(["Hi ", "Hi ", "é", "50 % off", *FIELDS]), min_size=1, max_size=4).map("".join)
scalars = (
    st.sampled_from(
        [None, True, False, 0, -0.0, 1.5, 10**20, float("inf"), "", "  pad ", "Ann", "<b>&\"'x", "a=b%s%(x)s\r\n", "😀"]
    )
    | st.sampled_from(["Zürich", "\n", "\r", "a\rb", ".", "x" * 200, "é" * 100, "=?utf-8?q?a?=", "--", "\t", "Bo"])
    | st.sampled_from(["javascript:x", "https://x.example/?a=1&b=2", "JAVA\nSCRIPT:x", "mailto:a@b.example"])
    | st.text(max_size=20)
)
odd = st.lists(scalars, max_size=3) | st.dictionaries(st.sampled_from("xyz"), scalars, max_size=2) | st.just("\ud800")
values = st.one_of(scalars, scalars, scalars, odd)
fields = st.dictionaries(st.sampled_from("abc"), values)
contexts = st.dictionaries(st.sampled_from(["d", "deep"]), scalars | st.just({"er": {"value": "deep"}}))


@settings(
    max_examples=size("templates"),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(subjects, sources, sources, st.lists(st.tuples(fields, contexts), min_size=1, max_size=4))
def test_each_message_says_what_liquid_says(renderer, subject, html, text, rows):
    agree(renderer, EmailContent(subject, html, text), [person(contact, context) for contact, context in rows])


VALUES = [
    *(
        None,
        True,
        False,
        0,
        -0.0,
        1.5,
        10**20,
        float("inf"),
        "",
        "  pad ",
        "Ann",
        "<b>&\"'x",
        "a=b%s\r\n",
        "😀",
        "a\rb",
    ),
    *(
        "\n",
        ".",
        "x" * 200,
        "é" * 100,
        "ß",
        "\t",
        "\ud800",
        "\x00",
        "=?utf-8?q?a?=",
        "javascript:x",
        "https://x.example",
    ),
    *([], ["x", "<y>", None], {}, {"x": 1}, {"size": "<"}),
]


@pytest.mark.parametrize("field", [*FIELDS, *BLOCKS])
def test_each_field_shows_each_value_as_liquid_does(renderer, field):
    people = [person({"a": value, "b": value, "c": value}, {"d": value, "deep": value}) for value in VALUES]
    agree(renderer, EmailContent("Hi", f"<p>{field}</p>\n{{{{ contact.a }}}}", f"{field}\n"), people)
    agree(renderer, EmailContent(f"Hi {field}", "<p>é</p>", "x"), people)


def agree(renderer, content, people):
    """Check that what is sent, the preview and Liquid agree about each person."""
    made = letter(renderer, content)
    sent = made.write(people, date=WHEN)
    shown = render_email(renderer, content, [row_of(someone) for someone in people])
    for at, (someone, raw, seen) in enumerate(zip(people, list(sent), shown, strict=True)):
        expected = liquid(content, someone)
        if at < 4:
            preview = made.preview(someone, date=WHEN)
            assert preview == (seen if isinstance(raw, bytes) else raw)
        if expected is None:
            assert isinstance(raw, RenderFailure) and isinstance(seen, RenderFailure)
            continue
        assert isinstance(raw, bytes), (raw, expected)
        message, text_part, html_part = reread(raw)
        assert (html_part, text_part) == (seen.html, seen.text) == (expected.html, expected.text)
        assert guard_value(seen.subject) == expected.subject
        assert " ".join(message["Subject"].split()) == " ".join(expected.subject.split())
        assert message["List-Unsubscribe"] == f"<{UNSUBSCRIBE}>"


PLAIN = EmailContent(
    "{{ contact.first_name | default: 'Hello' }}, spring is here",
    '<p>Dear {{ contact.first_name | default: "friend" }}</p><a href="{{ unsubscribe_url }}">Unsubscribe</a>\n',
    "Dear {{ contact.first_name }}\n{{ unsubscribe_url }}\n",
)
JAILED = EmailContent(
    PLAIN.subject, PLAIN.html + "{% if contact.city %}<i>{{ contact.city }}</i>{% endif %}", PLAIN.text + "{{ 'x' }}"
)


def named(name, **changes):
    return person({"first_name": name, "city": name}, **changes)


def test_a_plain_letter_is_written_without_liquid():
    with Renderer() as own:
        made = letter(own, PLAIN)
        own.close()
        sent = list(made.write([named("Ann"), named(None), named(7), named("Åsa <b>")], date=WHEN))
        assert own.children() == []
        assert [reread(raw)[2].partition("<a")[0] for raw in sent] == [
            f"<p>Dear {shown}</p>" for shown in ("Ann", "friend", "7", "Åsa &lt;b&gt;")
        ]


def test_an_unusual_value_asks_liquid_for_that_person():
    with Renderer() as own:
        made = letter(own, PLAIN)
        own.close()
        first, second, third = made.write([named("Ann"), named(["A", "nn <b>"]), named("Bo")], date=WHEN)
        assert own.children()
        assert "Dear Ann &lt;b&gt;</p>" in reread(second)[2] and "Dear Bo<" in reread(third)[2]
        assert "Dear Ann<" in reread(first)[2]


@pytest.mark.parametrize("content", [PLAIN, JAILED])
@pytest.mark.parametrize(
    ("wrong", "kind", "reason"),
    [
        (named("Bo", to="a@b.example\r\nBcc: x@y.example"), FailureKind.HEADER, ""),
        (named("Bo", to="a@b.example, c@d.example"), FailureKind.HEADER, ""),
        (named("Bo", message_id="<a b@c.example>"), FailureKind.HEADER, ""),
        (named("Bo", unsubscribe_url="https://x.example/ a"), FailureKind.HEADER, ""),
        (named("a\x00b"), FailureKind.TEMPLATE, "subject: "),
        (named("=?utf-8?q?Bob=0D=0ABcc:_evil@x.example?="), FailureKind.TEMPLATE, "subject: "),
        (named("x" * 1000), FailureKind.TEMPLATE, "subject: "),
        (named("\ud800"), FailureKind.TEMPLATE, ""),
        (named(10**5000), FailureKind.TEMPLATE, "a value"),
        (person({"first_name": object()}), FailureKind.TEMPLATE, "a value"),
    ],
)
def test_one_persons_failure_is_theirs(renderer, content, wrong, kind, reason):
    before, failed, after = write(renderer, content, [named("Ann"), wrong, named("Bo")])
    assert isinstance(failed, RenderFailure) and failed.kind is kind and failed.reason.startswith(reason)
    assert reread(before)[0]["Subject"] == "Ann, spring is here"
    assert reread(after)[0]["Subject"] == "Bo, spring is here"
    assert letter(renderer, content).preview(wrong, date=WHEN) == failed


def test_a_hang_costs_its_person_and_no_other():
    slow = "{% if contact.slow %}{% assign a = contact.slow | split: '' | uniq %}{{ a | size }}{% endif %}ok"
    hanging = person({"slow": "".join(map(chr, range(0x4E00, 0x4E00 + 20_000))) * 2})
    with Renderer(timeout_s=2) as own:
        sent = write(own, EmailContent("s", slow, "t"), [person(), hanging, person()])
        assert sent[1] == RenderFailure("it takes too long")
        assert [reread(raw)[2] for raw in (sent[0], sent[2])] == ["ok", "ok"]


def test_a_letter_left_half_read_leaves_nothing_behind():
    with Renderer() as own:
        sending = letter(own, JAILED).write([named(f"A{n}") for n in range(400)], date=WHEN)
        assert "A0" in reread(next(sending))[2]
        sending.close()
        assert "B7" in reread(write(own, JAILED, [named(f"B{n}") for n in range(9)])[7])[2]


def test_many_people_are_written_to_in_order(renderer):
    people = [named(f"A{n}" if n % 7 else [f"A{n}"]) for n in range(603)]
    for content in (PLAIN, JAILED):
        shown = [reread(raw)[2] for raw in write(renderer, content, people)]
        assert [text[8:].partition("<")[0] for text in shown] == [f"A{n}" for n in range(603)]
    assert write(renderer, JAILED, []) == []


def test_the_headers_are_these_and_no_others(renderer):
    (raw,) = write(renderer, PLAIN, [named("Åsa")])
    message, _, _ = reread(raw)
    assert Counter(message.keys()) == Counter(
        [
            *("From", "Date", "To", "Subject", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"),
            *("Reply-To", "List-Id", "X-Campaign-Id", "MIME-Version", "Content-Type"),
        ]
    )
    assert message["Date"].datetime == WHEN
    assert (message["To"], message["Message-ID"]) == ("ann@example.org", "<7.1@northwind.example>")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Subject"] == "Åsa, spring is here"
    (raw,) = write(renderer, PLAIN, [named("Ann")], Letterhead(NORTHWIND.sender))
    assert not [name for name in reread(raw)[0] if name.startswith("List-")]


def test_what_nobody_can_be_sent_fails_for_each(renderer):
    bad_name = Letterhead(Sender("Bob\r\nBcc: x@y.example", "news@northwind.example"))
    sent = write(renderer, PLAIN, [named("Ann"), named("Bo")], bad_name)
    assert [failure.kind for failure in sent] == [FailureKind.HEADER] * 2
    sent = write(renderer, EmailContent("s", "<p>{% if %}", "t"), [named("Ann")])
    assert sent[0].reason.startswith("html line 1, column 7: the template can't be read")
    assert render_email(renderer, EmailContent("s", "{{", "t"), [row_of(named("Ann"))])[0].reason.startswith("html")


@pytest.mark.parametrize(
    "body",
    [
        "{{ contact.first_name }}{{ contact.first_name }}",
        "{% if true %}{{ contact.first_name }}{{ contact.first_name }}{% endif %}",
    ],
)
def test_a_message_may_not_become_too_long(renderer, body):
    long, short = named("x" * 1_100_000), named("x" * 900_000)
    sent = write(renderer, EmailContent("s", body, "t"), [long, short])
    assert isinstance(sent[0], RenderFailure) and "too long" in sent[0].reason
    assert len(reread(sent[1])[2]) == 1_800_000


def test_other_scripts_stay_short_and_latin_readable(renderer):
    foreign = "Здравствуйте, {{ contact.first_name }}! " + "Весна пришла. " * 100
    (raw,) = write(
        renderer,
        EmailContent("s", f"<p>{foreign}</p>", "Grüße und alles Gute nach Bern, {{ contact.first_name }}"),
        [named("Åsa")],
    )
    _, text, html = reread(raw)
    assert html == "<p>" + foreign.replace("{{ contact.first_name }}", "Åsa") + "</p>"
    assert len(raw) < 1.6 * len(html.encode()) + 1000
    assert text == "Grüße und alles Gute nach Bern, Åsa"
    assert b"Gr=C3=BC=C3=9Fe" in raw


def test_content_can_not_imitate_the_boundary(renderer):
    (raw,) = write(renderer, EmailContent("s", "{{ contact.first_name }}", "{{ contact.first_name }}"), [named("Ann")])
    boundary = raw.split(b'boundary="')[1].split(b'"')[0].decode()
    evil = f"--{boundary}--\n--{boundary}\nContent-Type: text/html\n\nx"
    (raw,) = write(renderer, EmailContent("s", "{{ contact.first_name }}", "{{ contact.first_name }}"), [named(evil)])
    _, text, html = reread(raw)
    assert text == html == evil


HREF = '<a href="{{ contact.first_name }}">x</a>'


@pytest.mark.parametrize(
    ("html", "value", "fine"),
    [
        (HREF, "https://x.example", True),
        (HREF, "javascript:alert(1)", False),
        (HREF, " JAVA\nSCRIPT:x", False),
        (HREF, "/relative", True),
        (HREF, "", True),
        (HREF, ["javascript:x"], False),
        ('<a href="java{{ contact.first_name }}">x</a>', "script:x", False),
        ('<a href="https://x.example/?{{ contact.first_name }}">x</a>', "javascript:x", True),
        ("<a href={{ contact.first_name }}>x</a>", "javascript:x", False),
        ("<a {{ contact.first_name }}>x</a>", "href=javascript:x", False),
        ("<{{ contact.first_name }}>x</a>", "a href=javascript:x", False),
        ("<a hre{{ contact.first_name }}>x</a>", "f=javascript:x", False),
        ('<!--[if mso]><a href="{{ contact.first_name }}">x</a><![endif]-->', "javascript:x", False),
        ('<a href="{% if true %}{{ contact.first_name }}{% endif %}">x</a>', "javascript:x", False),
        ('{% if true %}<a href="{{ contact.first_name }}">x</a>{% endif %}', "javascript:x", False),
        ('{% if true %}<a href="{% endif %}{{ contact.first_name }}">x</a>', "javascript:x", False),
        ('{% if true %}<a {% endif %}href="{{ contact.first_name }}">x</a>', "javascript:x", False),
        ('{% if true %}<a title={% endif %}"{{ contact.first_name }}">x</a>', "javascript:x", True),
        ("{% if true %}<b>{{ contact.first_name }}</b>{% endif %}", "javascript:x", True),
        ("<p>{{ contact.first_name }}</p>", "javascript:x", True),
        ('<p title="{{ contact.first_name }}">x</p>', "javascript:x", True),
        ('<a href="javascript:x">{{ contact.first_name }}</a>', "Ann", False),
    ],
)
def test_an_address_that_a_value_makes_is_judged(renderer, html, value, fine):
    (raw,) = write(renderer, EmailContent("s", html, "t"), [named(value)])
    assert isinstance(raw, bytes) == fine
    if not fine:
        assert raw == RenderFailure("html: a link has an address that is not allowed")


def test_a_checked_and_tracked_letter_reads_well(renderer):
    known = frozenset({"contact.first_name", "contact.city", "unsubscribe_url"})
    content = EmailContent(
        PLAIN.subject,
        '<body><a href="https://shop.northwind.example/?a=1">Shop</a>' + PLAIN.html,
        PLAIN.text,
        "{{ contact.city }}!",
    )
    checked = check_email(renderer, content, known=known, marketing=True)
    (raw,) = write(renderer, links.track(checked.content).content, [named("Ann")])
    _, text, html = reread(raw)
    assert f'<a href="{CLICK}/0">Shop</a>' in html
    assert f'<a href="{UNSUBSCRIBE}">' in html and UNSUBSCRIBE in text
    assert ">Ann!</div>" in html


def test_each_message_is_signed(renderer):
    class Stamp:
        def sign(self, message):
            return b"X-Signed: yes\r\n" + message

    stamped = Letterhead(NORTHWIND.sender, signer=Stamp())
    sent = write(renderer, PLAIN, [named("Ann"), named("\ud800"), named("Bo")], stamped)
    assert [isinstance(raw, bytes) and raw.startswith(b"X-Signed: yes\r\nFrom:") for raw in sent] == [True, False, True]


def test_soft_line_breaks_stand_around_values_only(renderer):
    (raw,) = write(renderer, PLAIN, [named("Ann")])
    body = raw.partition(b"text/html")[2].partition(b"\r\n\r\n")[2]
    assert body.startswith(b"<p>Dear =\r\nAnn=\r\n</p>")
    assert quopri.decodestring(body).startswith(b"<p>Dear Ann</p>")


def test_a_fault_may_happen_after_each_message(renderer, monkeypatch):
    monkeypatch.setattr(fault, "ACTIVE", True)
    monkeypatch.setattr(fault, "_faults", fault.read("render.after:raise:nth=2"))
    sending = letter(renderer, PLAIN).write([named("Ann"), named("Bo")], date=WHEN)
    assert isinstance(next(sending), bytes)
    with pytest.raises(fault.Injected):
        next(sending)
