"""When a digest is due, across changes of the clocks, and what notices say by mail."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.notices.rules import DIGEST_LINES, as_html, as_text, digest_mail, next_digest, notice_mail
from saas.notices.types import DEFAULT_WISHES, MailMode, NoticeKind, Told

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "hour", "zone", "due"),
    [
        ("2026-11-22T06:59:59+00:00", 8, "Europe/Oslo", "2026-11-22T07:00:00+00:00"),
        ("2026-11-22T07:00:00+00:00", 8, "Europe/Oslo", "2026-11-23T07:00:00+00:00"),
        ("2026-11-22T23:30:00+00:00", 0, "Asia/Kathmandu", "2026-11-23T18:15:00+00:00"),
        # The clocks go forward on 28 March 2027: 08:00 comes 23 hours later; back on 31 October: 25 hours later.
        ("2027-03-27T07:00:00+00:00", 8, "Europe/Oslo", "2027-03-28T06:00:00+00:00"),
        ("2027-10-30T06:00:00+00:00", 8, "Europe/Oslo", "2027-10-31T07:00:00+00:00"),
    ],
)
def test_a_digest_is_due_at_its_hour_by_the_persons_clock(now, hour, zone, due):
    assert next_digest(datetime.fromisoformat(now), hour=hour, zone=zone) == datetime.fromisoformat(due)


@given(
    now=st.integers(0, 2 * 366 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    hour=st.integers(0, 23),
    zone=st.sampled_from(["UTC", "Europe/Oslo", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo"]),
)  # fmt: skip
def test_the_next_digest_is_ahead_within_a_long_day(now, hour, zone):
    due = next_digest(now, hour=hour, zone=zone)
    assert timedelta() < due - now <= timedelta(hours=25)
    local = due.astimezone(ZoneInfo(zone))
    # An hour that the clocks leave out is the one after it.
    assert local.hour in {hour, (hour + 1) % 24}


def told(number=0):
    return Told(f"Bea approved “Autumn <{number}>”", "It starts on Friday.", "/w/wsp_x/campaigns/cam_x", NOW)


def test_a_mail_says_what_happened_and_where_to_choose():
    mail = notice_mail(told(), to="bea@northwind.example", workspace="Northwind", public_url="https://c.example")
    assert mail.subject == "Bea approved “Autumn <0>”"
    assert mail.url == "https://c.example/w/wsp_x/campaigns/cam_x"
    assert "https://c.example/account/notices" in as_text(mail)
    assert "<0>" not in as_html(mail) and "&lt;0&gt;" in as_html(mail)


def test_a_digest_names_the_first_and_counts_the_others():
    lines = [told(number) for number in range(DIGEST_LINES + 3)]
    mail = digest_mail(
        lines,
        to="bea@northwind.example",
        workspace="Northwind",
        public_url="https://c.example",
        path="/w/wsp_x/notices",
    )
    assert mail.subject == f"Northwind: {DIGEST_LINES + 3} notices"
    assert mail.paragraphs[-1] == "And 3 more."
    one = digest_mail(
        lines[:1], to="bea@northwind.example", workspace="Northwind", public_url="https://c.example", path="/x"
    )
    assert one.subject == "Northwind: 1 notice"
    assert len(one.paragraphs) == 2


def test_every_kind_has_a_default_and_the_audit_head_is_for_subscribers():
    assert set(DEFAULT_WISHES) == set(NoticeKind)
    assert DEFAULT_WISHES[NoticeKind.AUDIT_HEAD].mail is MailMode.OFF
