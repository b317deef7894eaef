"""What must occur often enough in lives of flows, so that nothing is untried (reliability.md 4.4)."""

from collections.abc import Mapping

from tests.lives.flows.plan import LEFT_OUT

ENOUGH = 150  # lives, from which on nothing may be rare
RARE = 0.05
_KINDS = (
    "email", "webhook_message", "random_split", "ab_test", "segment_split", "engagement_split", "condition", "gate",
    "decision", "set_attribute", "change_list", "change_points", "call_webhook", "other_campaign", "notify_staff", "end",
    "wait for delay", "wait for date", "wait for local_hour", "wait for attribute",
)  # fmt: skip
_EXITS = (
    "random_split, a branch", "random_split, held out", "ab_test, a branch", "segment_split, a branch",
    "segment_split, remaining", "engagement_split, clicked", "engagement_split, opened", "engagement_split, remaining",
    "condition, yes", "condition, no", "decision, yes", "decision, no", "gate, accepted", "gate, rejected",
    "gate, timeout", "call_webhook, done", "call_webhook, failed",
)  # fmt: skip
OFTEN = (
    "kind: dated", "kind: api", "kind: flowing",
    *(f"step: {kind}" for kind in _KINDS if kind not in LEFT_OUT),
    "timing: at its date", "timing: on its own", "timing: latest", "timing: recurrence", "timing: publish_until",
    "timing: local time, send", "timing: local time, next_day", "timing: local time, skip",
    "timing: late, prefix_only", "timing: late, refuse", "timing: late, send", "timing: accepts_until",
    "timing: re-entry, never", "timing: re-entry, after_finishing", "timing: re-entry, always",
    "timing: leaving, stay", "timing: leaving, leave",
    "timing: clocks change", "event: edit", "event: extended", "event: paused", "event: resumed, now", "event: resumed, skip", "event: resumed, new_time",
    "event: stopped", "event: called", "event: event", "event: opened", "event: clicked", "event: machine_opened",
    "event: decided", "event: released", "event: attribute changed", "event: list changed", "event: consent changed",
    *(f"exit: {way}" for way in _EXITS),
    "answers: accepted", "answers: refused", "answers: deferred", "answers: skipped",
    "fault: lose_bell", "fault: double_bell", "fault: jump", "fault: die",
)  # fmt: skip


def rare_ones(counts: Mapping[str, int], lives: int) -> dict[str, int]:
    """Return what occurred too seldom; of few lives nothing is asked."""
    if lives < ENOUGH:
        return {}
    return {name: counts.get(name, 0) for name in OFTEN if counts.get(name, 0) < RARE * lives}
