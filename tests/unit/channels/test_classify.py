"""What a relay's answers mean (reliability.md 2)."""

import pytest

from saas.channels import rules
from saas.channels.types import About, Outcome, OutcomeKind, OutcomeScope, Trouble

K, S = OutcomeKind, OutcomeScope


@pytest.mark.parametrize(
    ("code", "text", "about", "kind", "scope", "hard"),
    [
        (250, "2.0.0 kept", About.CONTENT, K.ACCEPTED, S.RECIPIENT, False),
        (251, "will forward", About.RECIPIENT, K.ACCEPTED, S.RECIPIENT, False),
        (421, "4.3.2 shutting down", About.RECIPIENT, K.DEFERRED, S.CHANNEL, False),
        (421, "busy", About.CONTENT, K.DEFERRED, S.CHANNEL, False),
        (450, "4.2.1 try later", About.RECIPIENT, K.DEFERRED, S.RECIPIENT, False),
        (450, "greylisted", About.RECIPIENT, K.DEFERRED, S.RECIPIENT, False),
        (451, "4.7.1 too fast", About.RECIPIENT, K.DEFERRED, S.CHANNEL, False),
        (451, "local error", About.CONTENT, K.DEFERRED, S.RECIPIENT, False),
        (452, "4.2.2 over quota", About.RECIPIENT, K.DEFERRED, S.RECIPIENT, False),
        (454, "4.7.0 no TLS now", About.RECIPIENT, K.DEFERRED, S.CHANNEL, False),
        (471, "anything", About.CONTENT, K.DEFERRED, S.RECIPIENT, False),
        (450, "whatever", About.SENDER, K.DEFERRED, S.CHANNEL, False),
        (550, "5.1.1 no such user", About.RECIPIENT, K.REFUSED, S.RECIPIENT, True),
        (550, "5.1.1 no such user", About.CONTENT, K.REFUSED, S.RECIPIENT, True),
        (550, "5.1.10 null MX", About.RECIPIENT, K.REFUSED, S.RECIPIENT, True),
        (554, "5.1.2 no such host", About.RECIPIENT, K.REFUSED, S.RECIPIENT, True),
        (553, "5.1.3 bad address", About.RECIPIENT, K.REFUSED, S.RECIPIENT, True),
        (553, "5.1.8 bad sender domain", About.RECIPIENT, K.REFUSED, S.CHANNEL, False),
        (550, "5.1.7 bad sender", About.RECIPIENT, K.REFUSED, S.CHANNEL, False),
        (550, "5.1.1 unknown", About.SENDER, K.REFUSED, S.CHANNEL, False),
        (550, "rejected", About.SENDER, K.REFUSED, S.CHANNEL, False),
        (550, "no such user", About.RECIPIENT, K.REFUSED, S.RECIPIENT, False),
        (550, "5.2.1 disabled", About.RECIPIENT, K.REFUSED, S.RECIPIENT, False),
        (550, "5.7.1 blocked", About.RECIPIENT, K.REFUSED, S.CHANNEL, False),
        (550, "5.7.26 unauthenticated", About.CONTENT, K.REFUSED, S.CHANNEL, False),
        (554, "message rejected", About.CONTENT, K.REFUSED, S.CHANNEL, False),
        (554, "5.0.0 policy", About.RECIPIENT, K.REFUSED, S.CHANNEL, False),
        (554, "5.2.2 mailbox full", About.RECIPIENT, K.REFUSED, S.RECIPIENT, False),
        (530, "5.7.0 sign in first", About.SENDER, K.REFUSED, S.CHANNEL, False),
        (530, "sign in", About.RECIPIENT, K.REFUSED, S.CHANNEL, False),
        (535, "5.7.8 wrong", About.SENDER, K.REFUSED, S.CHANNEL, False),
        (503, "5.5.1 RCPT first", About.CONTENT, K.REFUSED, S.CHANNEL, False),
        (552, "too big", About.CONTENT, K.REFUSED, S.CONTENT, False),
        (552, "5.3.4 too big", About.SENDER, K.REFUSED, S.CONTENT, False),
        (550, "5.3.4 too big", About.CONTENT, K.REFUSED, S.CONTENT, False),
        (554, "5.6.0 malformed", About.CONTENT, K.REFUSED, S.CONTENT, False),
        (552, "5.2.2 mailbox full", About.RECIPIENT, K.REFUSED, S.RECIPIENT, False),
        (552, "5.2.3 too long", About.CONTENT, K.REFUSED, S.CONTENT, False),
        (551, "not local", About.RECIPIENT, K.REFUSED, S.RECIPIENT, False),
        (550, "4.2.2 contradicts itself", About.RECIPIENT, K.REFUSED, S.RECIPIENT, False),
        (354, "go on", About.CONTENT, K.UNKNOWN, S.RECIPIENT, False),
    ],
)
def test_what_an_answer_means(code, text, about, kind, scope, hard):
    expected = Outcome(kind, scope, f"{code} {text}", hard, _trouble(code, text, kind, scope))
    assert rules.classify(code, text, about=about) == expected


def _trouble(code, text, kind, scope):
    if scope is not S.CHANNEL:
        return None
    if code in {530, 534, 535, 538} and not text.startswith("5.1."):
        return Trouble.SIGN_IN
    return Trouble.PRESSURE if kind is K.DEFERRED else Trouble.POLICY


@pytest.mark.parametrize(
    ("code", "text", "about", "trouble"),
    [
        (421, "busy", About.RECIPIENT, Trouble.PRESSURE),
        (421, "4.3.2 shutting down", About.CONTENT, Trouble.PRESSURE),
        (451, "4.7.1 too fast", About.CONTENT, Trouble.PRESSURE),
        (451, "4.3.0 later", About.SENDER, Trouble.PRESSURE),
        (450, "4.2.1 later", About.RECIPIENT, None),
        (530, "5.7.0 sign in first", About.SENDER, Trouble.SIGN_IN),
        (534, "5.7.9 too weak", About.SENDER, Trouble.SIGN_IN),
        (535, "5.7.8 wrong", About.SENDER, Trouble.SIGN_IN),
        (538, "encrypt first", About.RECIPIENT, Trouble.SIGN_IN),
        (550, "5.7.1 blocked", About.RECIPIENT, Trouble.POLICY),
        (554, "message rejected", About.CONTENT, Trouble.POLICY),
        (550, "5.1.1 unknown", About.SENDER, Trouble.POLICY),
        (550, "5.1.1 unknown", About.RECIPIENT, None),
        (552, "5.3.4 too big", About.CONTENT, None),
        (250, "2.0.0 kept", About.CONTENT, None),
    ],
)
def test_what_is_the_matter_with_a_channel(code, text, about, trouble):
    assert rules.classify(code, text, about=about).trouble is trouble


def test_every_code_has_a_meaning_and_only_5_1_suppresses():
    for code in range(400, 600):
        for text in ("", "x", *(f"{code // 100}.{a}.{b} x" for a in range(8) for b in range(12))):
            for about in About:
                found = rules.classify(code, text, about=about)
                assert found.kind is (K.DEFERRED if code < 500 else K.REFUSED)
                assert not found.hard or (found.scope is S.RECIPIENT and text.startswith("5.1."))
                assert about is not About.SENDER or found.scope is not S.RECIPIENT
                assert (found.trouble is not None) is (found.scope is S.CHANNEL)


def test_a_providers_text_is_cut_and_cleaned():
    found = rules.classify(550, "5.1.1 a\0b\x1b[31m\u2028c\x85 " + "x" * 900, about=About.RECIPIENT)
    assert len(found.text) == 500
    assert found.text.startswith("550 5.1.1 a b [31m c  xxx")
