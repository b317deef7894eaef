"""One connection of the SMTP adapter against a real server on loopback (reliability.md 1 and 2)."""

from dataclasses import replace

import pytest

from saas.channels.types import Outcome, Outgoing, Trouble
from tests.integration.channels.rig import (
    ACCEPTED,
    CHANNEL,
    CONTENT,
    DEFERRED,
    FROM,
    HASTY,
    PATIENT,
    PERSON,
    REFUSED,
    TEXT,
    UNKNOWN,
    Watch,
    adapter_for,
    deliver,
    letters,
)
from tests.smtp_sink import At, Do, SmtpSink, Then

pytestmark = pytest.mark.integration


def test_messages_arrive_over_one_connection_and_the_watch_hears_of_each_step():
    with SmtpSink() as sink:
        watch = deliver(sink, letters("ann", "bob"))
        assert [(m.mail_from, m.rcpt, m.data, m.answered) for m in sink.messages] == [
            (FROM, "ann@example.net", TEXT, True),
            (FROM, "bob@example.net", TEXT, True),
        ]
        assert sink.connections == 1
        assert sink.commands[-1] == "QUIT"
    assert watch.log == [(what, i) for i in (0, 1) for what in ("asked", "offered", "settled")]
    assert watch.outcomes[0] == Outcome(ACCEPTED, text="250 2.0.0 kept")


def test_it_connects_at_the_first_message_only():
    with SmtpSink() as sink:
        adapter = adapter_for(sink)
        adapter.deliver(iter(()), watch=Watch())
        adapter.close()
        assert sink.connections == 0
        adapter.deliver(iter(letters("ann")), watch=Watch())
        adapter.deliver(iter(letters("bob")), watch=Watch())
        assert sink.connections == 1
        adapter.close()
        adapter.close()


CONTENTS = [
    b"Subject: a\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n",
    b".\r\n",
    b"Subject: a\r\n\r\nno end",
    b"Subject: a\r\n\r\n" + b"x" * 300_000 + b"\r\n",
    b"",
]


@pytest.mark.parametrize("text", CONTENTS)
def test_dots_and_ends_survive(text):
    with SmtpSink() as sink:
        watch = deliver(sink, letters("ann", "bob", text=text))
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (ACCEPTED, PERSON)}
        expected = text if text.endswith(b"\r\n") else text + b"\r\n"
        assert [m.data for m in sink.messages] == [expected] * 2


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r"])
def test_nothing_can_be_smuggled_in(end):
    text = b"Subject: a\r\n\r\nhi" + end + b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<x@example.net>\r\nDATA\r\n"
    with SmtpSink() as sink:
        deliver(sink, letters("ann", text=text))
        assert [m.rcpt for m in sink.messages] == ["ann@example.net"]
        assert sink.messages[0].data.count(b"\n") == sink.messages[0].data.count(b"\r\n")
        assert not any("evil" in command for command in sink.commands)


@pytest.mark.parametrize(
    ("act", "kind", "scope", "offered"),
    [
        ("550 5.1.1 no such user", REFUSED, PERSON, False),
        ("450 4.2.1 later", DEFERRED, PERSON, False),
        ("550 5.7.1 blocked", REFUSED, CHANNEL, False),
        ("451 4.7.1 slow down", DEFERRED, CHANNEL, False),
        (Do(At.DATA, "554 5.7.1 not now"), REFUSED, CHANNEL, False),
        (Do(At.DATA, "250 strange"), DEFERRED, CHANNEL, False),
        (Do(At.DOT, "452 4.3.1 full"), DEFERRED, PERSON, True),
        (Do(At.DOT, "552 5.3.4 too big"), REFUSED, CONTENT, True),
        (Do(At.DOT, "554 5.7.1 spam"), REFUSED, CHANNEL, True),
        (Do(At.DOT, "550 5.1.1 late"), REFUSED, PERSON, True),
        (Do(At.DOT, "421 4.3.2 closing", Then.CLOSE), DEFERRED, CHANNEL, True),
        (Do(At.DOT, then=Then.CLOSE), UNKNOWN, PERSON, True),
        (Do(At.DOT, then=Then.RESET), UNKNOWN, PERSON, True),
        (Do(At.DOT, then=Then.HANG), UNKNOWN, PERSON, True),
        (Do(At.DOT, "hello?", Then.CLOSE), UNKNOWN, PERSON, True),
        (Do(At.DOT, "354 go on", Then.CLOSE), UNKNOWN, PERSON, True),
        (Do(At.DOT, "250 2.0.0 kept", Then.RESET), None, None, True),
        (Do(At.RCPT, then=Then.CLOSE), DEFERRED, CHANNEL, False),
        (Do(At.RCPT, "421 4.7.0 too many", Then.CLOSE), DEFERRED, CHANNEL, False),
        (Do(At.DATA, then=Then.CLOSE), DEFERRED, CHANNEL, False),
    ],
)
def test_one_bad_answer_does_not_hurt_the_next_person(act, kind, scope, offered):
    with SmtpSink() as sink:
        sink.script["bob@example.net"] = act
        hangs = getattr(act, "then", None) is Then.HANG
        watch = deliver(sink, letters("ann", "bob", "cid"), timeouts=HASTY if hangs else PATIENT)
        kinds = watch.kinds()
        assert kinds[0] == kinds[2] == (ACCEPTED, PERSON)
        if kind is not None:
            assert kinds[1] == (kind, scope)
        assert (1 in watch.was_offered) is offered
        assert {m.rcpt for m in sink.messages if m.answered} >= {"ann@example.net", "cid@example.net"}
        assert len(sink.to("cid@example.net")) == 1


def test_a_refused_recipient_is_followed_by_rset_and_the_next_envelope():
    with SmtpSink() as sink:
        sink.script["bob@example.net"] = "550 5.1.1 no"
        watch = deliver(sink, letters("bob", "ann"))
        assert [c.split(" ")[0] for c in sink.commands] == [
            "EHLO", "MAIL", "RCPT", "DATA", "RSET", "MAIL", "RCPT", "DATA", "QUIT",
        ]  # fmt: skip
        assert sink.connections == 1
    assert watch.outcomes[0] == Outcome(REFUSED, PERSON, "550 5.1.1 no", hard=True)


def test_a_refused_sender_is_about_the_channel():
    with SmtpSink() as sink:
        sink.script[FROM] = Do(At.MAIL, "550 5.1.1 unknown")
        watch = deliver(sink, letters("ann"))
    assert watch.kinds() == {0: (REFUSED, CHANNEL)}
    assert not watch.outcomes[0].hard
    assert watch.outcomes[0].trouble is Trouble.POLICY


def test_cut_off_in_the_middle_of_the_content_is_not_sent():
    with SmtpSink() as sink:
        sink.script["ann@example.net"] = [Do(At.BODY, then=Then.RESET), "550 5.1.1 never asked"]
        text = b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200_000
        watch = deliver(sink, letters("ann", text=text))
        assert sink.messages == []
    assert watch.kinds() == {0: (DEFERRED, CHANNEL)}
    assert watch.was_offered == [0]


def test_a_slow_answer_is_waited_for():
    with SmtpSink() as sink:
        sink.script["ann@example.net"] = Do(At.DOT, "250 2.0.0 at last", after_s=1.5)
        watch = deliver(sink, letters("ann"), timeouts=replace(PATIENT, reply_s=1))
    assert watch.kinds() == {0: (ACCEPTED, PERSON)}


def test_stop_leaves_the_rest_untouched():
    with SmtpSink() as sink:
        watch = deliver(sink, letters("ann", "bob", "cid"), watch=Watch(stop_at=1))
        assert [m.rcpt for m in sink.messages] == ["ann@example.net"]
    assert watch.log == [("asked", 0), ("offered", 0), ("settled", 0), ("asked", 1)]


def test_offered_is_noted_before_the_first_byte_of_content():
    """Whoever dies in offered() has sent no content, and no later message finds half of a transaction."""

    class Dies(Watch):
        def offered(self, index):
            super().offered(index)
            raise KeyboardInterrupt

    with SmtpSink() as sink:
        adapter = adapter_for(sink)
        with pytest.raises(KeyboardInterrupt):
            adapter.deliver(iter(letters("ann")), watch=Dies())
        assert adapter._lanes == {}
        watch = Watch()
        adapter.deliver(iter(letters("bob")), watch=watch)
        adapter.close()
        assert [m.rcpt for m in sink.messages] == ["bob@example.net"]
        assert sink.connections == 2


def test_a_kept_connection_that_the_relay_ended_costs_nobody_anything():
    with SmtpSink(end_after=2) as sink:
        watch = deliver(sink, letters(*"abcdefg"))
        assert set(watch.kinds().values()) == {(ACCEPTED, PERSON)}
        assert [m.rcpt[0] for m in sink.messages] == list("abcdefg")
        assert sink.connections == 4


def test_421_on_a_kept_connection_is_tried_once_more_on_a_new_one():
    with SmtpSink() as sink:
        sink.script["bob@example.net"] = [Do(At.RCPT, "421 4.4.2 idle", Then.CLOSE), Do(At.DOT, "250 2.0.0 kept")]
        watch = deliver(sink, letters("ann", "bob"))
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (ACCEPTED, PERSON)}
        assert sink.connections == 2


def test_a_relay_that_always_hangs_up_is_left_alone_after_three():
    with SmtpSink() as sink:
        names = [f"p{n}" for n in range(20)]
        for name in names:
            sink.script[f"{name}@example.net"] = Do(At.RCPT, "421 4.7.0 no", Then.CLOSE)
        watch = deliver(sink, letters(*names))
        assert sink.connections == 3
    assert watch.kinds() == dict.fromkeys(range(3), (DEFERRED, CHANNEL))
    assert watch.was_offered == []
    assert watch.down == watch.outcomes[2] == Outcome(DEFERRED, CHANNEL, "421 4.7.0 no", trouble=Trouble.PRESSURE)


BARE = ("PIPELINING",)


def test_what_a_bare_server_cannot_take_is_refused_without_asking_it():
    with SmtpSink(extensions=BARE) as sink:
        watch = deliver(
            sink,
            [
                Outgoing(0, FROM, "ännä@example.net", TEXT),
                Outgoing(1, FROM, "ann@bücher.example", TEXT),
                Outgoing(2, FROM, "bob@example.net", "Subject: a\r\n\r\nä\r\n".encode()),
                Outgoing(3, "ä@northwind.example", "bob@example.net", TEXT),
                Outgoing(4, FROM, "bob@example.net", TEXT),
            ],
        )
        assert [m.rcpt for m in sink.messages] == ["ann@xn--bcher-kva.example", "bob@example.net"]
        assert not any("SIZE" in c or "BODY" in c or "UTF8" in c for c in sink.commands)
    assert watch.kinds() == {
        0: (REFUSED, PERSON),
        1: (ACCEPTED, PERSON),
        2: (REFUSED, CONTENT),
        3: (REFUSED, CHANNEL),
        4: (ACCEPTED, PERSON),
    }
    assert not any(outcome.hard for outcome in watch.outcomes.values())


def test_extensions_are_used_where_needed():
    text = "Subject: a\r\n\r\nä\r\n".encode()
    with SmtpSink() as sink:
        watch = deliver(sink, [Outgoing(0, FROM, "ännä@example.net", text), *letters("x", "bob")[1:]])
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (ACCEPTED, PERSON)}
        mails = [c for c in sink.commands if c.startswith("MAIL")]
        assert mails == [
            f"MAIL FROM:<{FROM}> SIZE={len(text)} BODY=8BITMIME SMTPUTF8",
            f"MAIL FROM:<{FROM}> SIZE={len(TEXT)}",
        ]
        assert [m.rcpt for m in sink.messages] == ["ännä@example.net", "bob@example.net"]


def test_a_message_over_the_servers_limit():
    with SmtpSink(extensions=("SIZE 100",)) as sink:
        watch = deliver(sink, letters("ann", text=b"Subject: a\r\n\r\n" + b"x" * 200))
    assert watch.kinds() == {0: (REFUSED, CONTENT)}


@pytest.mark.parametrize(
    "address", ["", "ann", "ann@example.net>\r\nRCPT TO:<evil@example.net", "a b@example.net", "a@b@c.example"]
)
def test_what_is_no_address_never_reaches_the_wire(address):
    with SmtpSink() as sink:
        watch = deliver(sink, [Outgoing(0, FROM, address, TEXT), *letters("x", "ann")[1:]])
        assert watch.kinds() == {0: (REFUSED, PERSON), 1: (ACCEPTED, PERSON)}
        assert not any("evil" in c for c in sink.commands)


def test_answers_of_several_lines():
    with SmtpSink() as sink:
        sink.script["ann@example.net"] = Do(At.DOT, "550-5.7.1 blocked,\r\n550-5.7.1 see\r\n550 5.7.1 our page")
        watch = deliver(sink, letters("ann", "bob"))
    expected = Outcome(REFUSED, CHANNEL, "550 5.7.1 blocked, see our page", trouble=Trouble.POLICY)
    assert watch.outcomes[0] == expected
    assert watch.kinds()[1] == (ACCEPTED, PERSON)
