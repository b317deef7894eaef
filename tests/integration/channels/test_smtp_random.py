"""Whatever a relay does, nobody gets a message twice and nobody is said to have one who has not (reliability.md 4.2)."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from saas.channels.types import OutcomeKind
from tests.integration.channels.rig import PATIENT, Watch, adapter_for, letters
from tests.smtp_sink import At, Do, SmtpSink, Then

pytestmark = pytest.mark.integration

COUNT = 200
ROUNDS = 3
QUICK = replace(PATIENT, answer_s=0.15)

REFUSALS = ("550 5.1.1 no", "450 4.2.1 later", "550 5.7.1 blocked", "421 4.7.0 too many", "550-a\r\n550 b")
ODDITIES = ("250 2.1.5 ok\r\n250 and more", "354 what for?", "hello", "", "999 x")
ENDS = st.sampled_from([Then.CLOSE, Then.RESET])
ACTS = st.one_of(
    st.builds(Do, st.sampled_from([At.RCPT, At.DATA, At.DOT]), st.sampled_from(REFUSALS), st.just(Then.GO_ON)),
    st.builds(Do, st.sampled_from([At.RCPT, At.DATA, At.BODY, At.DOT]), st.sampled_from(REFUSALS), ENDS),
    st.builds(Do, st.sampled_from([At.RCPT, At.DATA, At.BODY, At.DOT]), st.just(""), ENDS),
    st.builds(Do, st.sampled_from([At.RCPT, At.DATA]), st.sampled_from(ODDITIES), ENDS),
    st.builds(Do, st.just(At.RCPT), st.sampled_from(ODDITIES[:3]), st.just(Then.GO_ON)),
    st.builds(Do, st.just(At.DOT), st.sampled_from(["250 2.0.0 kept", "250 ok\r\n421 4.3.2 bye"]), ENDS),
    st.builds(Do, st.just(At.DOT), st.sampled_from(["354 more?", "hello"]), st.sampled_from(Then)),
)
HANGS = st.sampled_from([Do(At.DOT, then=Then.HANG), Do(At.DOT, "250 2.0.0 slow", after_s=0.05)])
SCRIPTS = st.dictionaries(st.integers(0, COUNT - 1), st.lists(ACTS, min_size=1, max_size=3), max_size=40)
SLOW = st.dictionaries(st.integers(0, COUNT - 1), HANGS, max_size=2)
TEXTS = (b"Subject: hi\r\n\r\nhello\r\n", b"Subject: hi\r\n\r\n.\r\n" + b"y" * 70_000 + b"\r\n")
BARE, FULL = ("SIZE 20971520",), ("PIPELINING", "SIZE 20971520", "8BITMIME")


@settings(max_examples=25)
@given(
    scripts=SCRIPTS,
    slow=SLOW,
    connections=st.integers(1, 4),
    at_once=st.none() | st.integers(1, 3),
    end_after=st.none() | st.integers(1, 30),
    lenient=st.booleans(),
    gathers=st.booleans(),
    extensions=st.sampled_from([FULL, FULL, FULL, BARE]),
    stop_at=st.none() | st.integers(0, COUNT),
)
def test_random_relays(scripts, slow, connections, at_once, end_after, lenient, gathers, extensions, stop_at):
    messages = letters(*(f"p{number}" for number in range(COUNT)))
    messages = [type(each)(each.index, each.sender, each.recipient, TEXTS[each.index % 9 == 0]) for each in messages]
    with SmtpSink(extensions=extensions, end_after=end_after) as sink:
        sink.at_once, sink.is_lenient, sink.gathers = at_once, lenient, gathers
        # What is scripted happens in the first rounds; the list's last entry stays, and lets everybody through.
        sink.script.update({f"p{at}@example.net": [*acts, Do(At.MAIL)] for at, acts in (scripts | {}).items()})
        sink.script.update({f"p{at}@example.net": [act, Do(At.MAIL)] for at, act in slow.items()})
        adapter = adapter_for(sink, connections=connections, timeouts=QUICK)
        outcomes, offered = _deliver(adapter, messages, stop_at)
        adapter.close()
        kept = Counter(message.rcpt for message in sink.messages)
    _check(kept, outcomes, offered)


def _deliver(adapter, messages, stop_at):
    """Deliver, and deliver again what may be tried again, as a sender does; return the last outcome of each."""
    outcomes, offered, left = {}, Counter(), messages
    for number in range(ROUNDS):
        watch = Watch(stop_at=stop_at if number == 0 else None)
        adapter.deliver(iter(left), watch=watch)
        assert watch.answered_for()
        assert adapter.down is not None or number == 0 or set(watch.outcomes) == {each.index for each in left}
        outcomes |= watch.outcomes
        offered.update(watch.was_offered)
        assert max(Counter(watch.was_offered).values(), default=1) == 1
        again = {index for index, outcome in outcomes.items() if outcome.kind is OutcomeKind.DEFERRED}
        left = [each for each in messages if each.index in again or each.index not in outcomes]
    return outcomes, offered


def _check(kept, outcomes, offered):
    found = {
        kind: {f"p{at}@example.net" for at, outcome in outcomes.items() if outcome.kind is kind} for kind in OutcomeKind
    }
    assert max(kept.values(), default=1) == 1, "doubled"
    assert found[OutcomeKind.ACCEPTED] <= set(kept), "said to be there and is not"
    assert set(kept) <= found[OutcomeKind.ACCEPTED] | found[OutcomeKind.UNKNOWN], "there, and said not to be"
    assert {f"p{at}@example.net" for at in offered} >= set(kept)
    event("unknown" if found[OutcomeKind.UNKNOWN] else "no unknown")
    event("refused" if found[OutcomeKind.REFUSED] else "none refused")
    event("all known" if len(outcomes) == COUNT else "some never reached")
