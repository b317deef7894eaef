"""What people change about how they sign in (security.md E; issue: Accounts)."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.accounts.models import Account, AccountMail, AccountSession, RecoveryCode, SecondStep, SignInGuard
from saas.accounts.rules import code_at, step_of
from saas.accounts.service.guard import FORGOTTEN_AFTER, forget_tries
from saas.accounts.service.mails import forget_mails
from saas.app.factory import create_app
from saas.kernel.clock import FixedClock, SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from saas.platform.secrets.service import Place, Unreadable, Vault
from tests.api.post_office import opened
from tests.worlds import PASSWORD, Client

pytestmark = pytest.mark.integration

FRESH = "a-new-password-9"
LINK = re.compile(r"http://127\.0\.0\.1:8000/(password-reset|email-change)/([A-Za-z0-9_-]{43})\b")


@pytest.fixture
def post_office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as office:
        yield office


@pytest.fixture
def bea(world):
    """The manager's address."""
    return world.a.emails[Role.MANAGER]


@pytest.fixture
def client(world):
    return world.client(world.a, Role.MANAGER)


def texts(office, to):
    return [office.text(raw) for rcpt, raw in office.taken if rcpt == [to]]


def links(office, to, kind):
    return [found[2] for text in texts(office, to) if (found := LINK.search(text)) and found[1] == kind]


def enter(world, email, password=PASSWORD, *, address="127.0.0.1", device=None, **more):
    """Try to sign in from a network address, with a device cookie or without. Returns client and answer."""
    found = Client(world.app, workspace=world.a.wsp)
    if device:
        found.http.set_cookie("csn_device", device)
    body = {"email": email, "password": password, **more}
    answer = found.http.post("/api/v1/sessions", json=body, environ_base={"REMOTE_ADDR": address})
    if answer.status_code == 201:
        found.csrf = answer.get_json()["csrf_token"]
    return found, answer


def code(secret, *, away=0):
    return code_at(base64.b32decode(secret), step_of(SystemClock().now()) + away)


def turn_on(client):
    """Turn the second step on. Returns the app's secret and the recovery codes."""
    begun = client.post("/account/second-step", {"present": PASSWORD})
    assert begun.status_code == 200, begun.text
    secret = begun.get_json()["secret"]
    answer = client.post("/account/second-step/confirm", {"code": code(secret)})
    assert answer.status_code == 200, answer.text
    client.csrf = answer.get_json()["csrf_token"]
    return secret, answer.get_json()["recovery_codes"]


# ---------- reset ----------


def test_a_reset_sets_a_password_once_and_ends_all_sessions(world, post_office, client, bea):
    asked = world.nobody().post("/password-resets", {"email": f" {bea.upper()} "})
    assert (asked.status_code, asked.get_data()) == (202, b"")
    post_office.deliver()
    [token] = links(post_office, bea, "password-reset")
    assert client.get("/account").status_code == 200
    used = world.nobody().post("/password-resets/use", {"token": token, "password": FRESH})
    assert used.status_code == 204, used.text
    assert client.get("/account").status_code == 401
    assert [enter(world, bea, word)[1].status_code for word in (PASSWORD, FRESH)] == [401, 201]
    again = world.nobody().post("/password-resets/use", {"token": token, "password": "yet-another-one-1"})
    assert (again.status_code, again.get_json()["code"]) == (404, "link_gone")
    post_office.deliver()
    assert "Your account has a new password." in texts(post_office, bea)[-1]


def test_asking_for_a_reset_tells_nothing(world, engine, post_office, bea):
    """The same answer and the same rows written, whether or not there is an account (uniform answers)."""
    with engine.begin() as connection:
        gone = world.a.accounts[Role.VIEWER]
        connection.execute(
            sa.update(Account).where(Account.account_id == gone).values(suspended_at=SystemClock().now())
        )
    answers = {}
    for email in (bea, f"nobody.{uuid7().hex}@northwind.example", world.a.emails[Role.VIEWER]):
        written = []
        with engine.connect() as connection:
            before = connection.scalar(sa.select(sa.func.count()).select_from(AccountMail))
        answer = world.nobody().post("/password-resets", {"email": email})
        with engine.connect() as connection:
            written.append(connection.scalar(sa.select(sa.func.count()).select_from(AccountMail)) - before)
            row = connection.execute(sa.select(AccountMail).where(AccountMail.email == email)).one()
        unlike = ("request-id", "ratelimit")
        heads = sorted(f"{k}: {v}" for k, v in answer.headers if not any(part in k.lower() for part in unlike))
        answers[email] = (answer.status_code, answer.get_data(), heads, written, row.account_id, row.token_hash)
    assert len({str(found) for found in answers.values()}) == 1
    assert post_office.deliver() == 3
    assert [rcpt for rcpt, _ in post_office.taken] == [[bea]]


def test_a_link_holds_256_bits_only_its_hash_is_kept_and_the_host_is_ours(world, engine, post_office, bea):
    asked = world.nobody().call(
        "POST",
        "/password-resets",
        json={"email": bea},
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
    )
    assert asked.status_code == 202
    post_office.deliver()
    [token] = links(post_office, bea, "password-reset")
    assert len(token) == 43
    assert "evil" not in texts(post_office, bea)[0]
    with engine.connect() as connection:
        rows = connection.execute(sa.select(AccountMail)).all()
    assert token not in str(rows)
    row = next(row for row in rows if row.email == bea)
    assert len(row.token_hash) == 32
    assert row.expires_at - row.sent_at == timedelta(hours=1)


def test_a_link_is_for_one_purpose_and_one_address_and_an_hour(world, engine, post_office, client, bea):
    new = f"bea.{uuid7().hex}@northwind.example"
    world.nobody().post("/password-resets", {"email": bea})
    world.nobody().post("/password-resets", {"email": bea})
    assert client.post("/account/email", {"email": new, "present": PASSWORD}).status_code == 202
    post_office.deliver()
    first, second = links(post_office, bea, "password-reset")
    [confirm] = links(post_office, new, "email-change")
    crossed = world.nobody().post("/email-changes/confirm", {"token": first})
    assert crossed.get_json()["code"] == "link_gone"
    crossed = world.nobody().post("/password-resets/use", {"token": confirm, "password": FRESH})
    assert crossed.get_json()["code"] == "link_gone"
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE account_mail SET expires_at = now() - interval '1 s' WHERE purpose = 'reset' "
                                   "AND mail_id = (SELECT min(mail_id::text)::uuid FROM account_mail WHERE email = :e)"), {"e": bea})  # fmt: skip
    late = world.nobody().post("/password-resets/use", {"token": first, "password": FRESH})
    assert late.get_json()["code"] == "link_gone"
    assert world.nobody().post("/email-changes/confirm", {"token": confirm}).status_code == 204
    moved = world.nobody().post("/password-resets/use", {"token": second, "password": FRESH})
    assert moved.get_json()["code"] == "link_gone", "the link belongs to an address that is no longer the account's"


def test_a_weak_password_spends_nothing_and_a_used_link_ends_the_others(world, post_office, bea):
    for _ in range(2):
        world.nobody().post("/password-resets", {"email": bea})
    post_office.deliver()
    first, second = links(post_office, bea, "password-reset")
    weak = world.nobody().post("/password-resets/use", {"token": first, "password": "short"})
    assert (weak.status_code, weak.get_json()["errors"][0]["pointer"]) == (422, "/password")
    assert world.nobody().post("/password-resets/use", {"token": second, "password": FRESH}).status_code == 204
    other = world.nobody().post("/password-resets/use", {"token": first, "password": FRESH})
    assert other.get_json()["code"] == "link_gone"


def test_of_two_who_use_a_link_at_once_one_sets_the_password(world, post_office, bea):
    world.nobody().post("/password-resets", {"email": bea})
    post_office.deliver()
    [token] = links(post_office, bea, "password-reset")
    gate = Barrier(2)

    def run(letter):
        gate.wait()
        return (
            world.nobody().post("/password-resets/use", {"token": token, "password": f"{FRESH}-{letter}"}).status_code
        )

    with ThreadPoolExecutor(2) as pool:
        found = sorted(run.result(30) for run in [pool.submit(run, letter) for letter in "ab"])
    assert found == [204, 404]


def test_an_inbox_is_not_flooded(world, post_office, bea):
    for _ in range(8):
        world.nobody().post("/password-resets", {"email": bea})
    post_office.deliver()
    assert len(post_office.taken) == 3


def test_opening_the_link_spends_nothing(world, post_office, bea):
    world.nobody().post("/password-resets", {"email": bea})
    post_office.deliver()
    [token] = links(post_office, bea, "password-reset")
    for method in ("GET", "HEAD", "OPTIONS", "GET"):
        assert world.app.test_client().open(f"/password-reset/{token}", method=method).status_code == 200
    assert world.nobody().post("/password-resets/use", {"token": token, "password": FRESH}).status_code == 204


def test_what_is_no_longer_needed_is_forgotten(world, engine, post_office, bea):
    world.nobody().post("/password-resets", {"email": bea})
    enter(world, bea, "wrong-password")
    later = SystemClock().now() + FORGOTTEN_AFTER + timedelta(minutes=1)
    with Session(engine) as session:
        assert forget_mails(session, now=later, limit=10_000) >= 1
        assert forget_tries(session, now=later, limit=10_000) >= 1
        assert session.scalars(sa.select(AccountMail)).all() == session.scalars(sa.select(SignInGuard)).all() == []
        session.rollback()


# ---------- password and address ----------


def test_a_password_is_changed_with_the_present_one(world, post_office, client, bea):
    other = world.client(world.a, Role.MANAGER)
    old = client.http.get_cookie("csn").value
    wrong = client.post("/account/password", {"present": "wrong-password", "password": FRESH})
    assert (wrong.status_code, wrong.get_json()["errors"][0]["pointer"]) == (422, "/present")
    weak = client.post("/account/password", {"present": PASSWORD, "password": bea})
    assert (weak.status_code, weak.get_json()["errors"][0]["pointer"]) == (422, "/password")
    changed = client.post("/account/password", {"present": PASSWORD, "password": FRESH})
    assert changed.status_code == 200, changed.text
    assert other.get("/account").status_code == 401
    assert client.get("/account").status_code == 200
    assert client.http.get_cookie("csn").value != old
    client.csrf = changed.get_json()["csrf_token"]
    assert client.post("/sessions/end-others").get_json() == {"ended": 0}
    copied = Client(world.app)
    copied.http.set_cookie("csn", old)
    assert copied.get("/account").status_code == 401
    post_office.deliver()
    assert "Your account has a new password." in texts(post_office, bea)[0]


def test_guessing_the_present_password_is_paused_too(client):
    for _ in range(5):
        client.post("/account/password", {"present": "wrong-password", "password": FRESH})
    answer = client.post("/account/password", {"present": PASSWORD, "password": FRESH})
    assert (answer.status_code, answer.get_json()["code"]) == (429, "locked_out")


def test_an_address_changes_once_the_new_one_is_confirmed(world, post_office, client, bea):
    new = f"bea.{uuid7().hex}@northwind.example"
    assert client.post("/account/email", {"email": new, "present": "wrong-password"}).status_code == 422
    assert client.post("/account/email", {"email": new, "present": PASSWORD}).status_code == 202
    post_office.deliver()
    assert "asked for your account to use another address" in texts(post_office, bea)[0]
    assert client.get("/account").get_json()["email"] == bea
    [token] = links(post_office, new, "email-change")
    assert world.app.test_client().get(f"/email-change/{token}").status_code == 200
    assert world.nobody().post("/email-changes/confirm", {"token": token}).status_code == 204
    assert client.get("/account").get_json()["email"] == new
    assert [enter(world, email)[1].status_code for email in (bea, new)] == [401, 201]
    post_office.deliver()
    assert "Your account uses another address now" in texts(post_office, bea)[1]
    assert world.nobody().post("/email-changes/confirm", {"token": token}).status_code == 404


def test_an_address_of_somebody_else_is_not_taken_and_not_told(world, engine, post_office, client, bea):
    taken, soon = world.a.emails[Role.ADMIN], f"bea.{uuid7().hex}@northwind.example"
    answers = [client.post("/account/email", {"email": email, "present": PASSWORD}) for email in (taken, soon)]
    assert [answer.status_code for answer in answers] == [202, 202]
    post_office.deliver()
    assert texts(post_office, taken) == []
    [token] = links(post_office, soon, "email-change")
    with engine.begin() as connection:
        connection.execute(
            sa.update(Account).where(Account.account_id == world.a.accounts[Role.VIEWER]).values(email=soon)
        )
    assert world.nobody().post("/email-changes/confirm", {"token": token}).status_code == 404
    assert client.get("/account").get_json()["email"] == bea


def test_asking_again_ends_the_earlier_link(world, post_office, client):
    first, second = (f"bea.{uuid7().hex}@northwind.example" for _ in "ab")
    client.post("/account/email", {"email": first, "present": PASSWORD})
    post_office.deliver()
    client.post("/account/email", {"email": second, "present": PASSWORD})
    post_office.deliver()
    [old], [new] = (links(post_office, email, "email-change") for email in (first, second))
    assert world.nobody().post("/email-changes/confirm", {"token": old}).status_code == 404
    assert world.nobody().post("/email-changes/confirm", {"token": new}).status_code == 204


def test_name_and_time_zone_are_the_persons_own(client):
    changed = client.patch("/account", {"name": " Bea Buyer ", "time_zone": "Asia/Kathmandu", "language": "en"})
    assert changed.status_code == 200, changed.text
    found = client.get("/account").get_json()
    assert (found["name"], found["time_zone"], found["language"]) == ("Bea Buyer", "Asia/Kathmandu", "en")
    assert client.patch("/account", {"time_zone": None}).get_json()["name"] == "Bea Buyer"
    for wrong in (
        {"time_zone": "Mars/Olympus"},
        {"name": "  "},
        {"name": "a\u202eb"},
        {"language": "english"},
        {"email": "x@y.example"},
    ):
        assert client.patch("/account", wrong).status_code == 422, wrong


# ---------- second step ----------


def test_with_the_second_step_on_a_password_is_not_enough(world, client, bea):
    secret, _ = turn_on(client)
    without = enter(world, bea)[1]
    assert (without.status_code, without.get_json()["code"]) == (401, "code_wanted")
    wrong = enter(world, bea, code="000000")[1]
    assert (wrong.status_code, wrong.get_json()["code"]) == (401, "wrong_code")
    blind = enter(world, bea, "wrong-password", code=code(secret, away=1))[1]
    assert blind.get_json()["code"] == "wrong_credentials", "a right code tells nothing about a wrong password"
    inside, answer = enter(world, bea, code=code(secret, away=1))
    assert answer.status_code == 201, answer.text
    assert inside.get("/account").get_json()["second_step"] is True


def test_no_code_works_twice(world, client, bea):
    secret, _ = turn_on(client)
    later = code(secret, away=1)
    assert enter(world, bea, code=later)[1].status_code == 201
    assert enter(world, bea, code=later)[1].get_json()["code"] == "wrong_code"
    assert enter(world, bea, code=code(secret))[1].get_json()["code"] == "wrong_code"


def test_of_two_with_the_same_code_at_once_one_is_in(world, client, bea):
    secret, _ = turn_on(client)
    gate, now = Barrier(2), code(secret, away=1)

    def run(number):
        gate.wait()
        return enter(world, bea, code=now, address=f"203.0.113.{number}")[1].status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(run.result(30) for run in [pool.submit(run, n) for n in (1, 2)]) == [201, 401]


def test_turning_it_on_or_off_ends_all_other_sessions_and_is_told(world, post_office, client, bea):
    other = world.client(world.a, Role.MANAGER)
    secret, codes = turn_on(client)
    assert other.get("/account").status_code == 401
    assert client.get("/account").status_code == 200
    other, answer = enter(world, bea, code=codes[0])
    assert answer.status_code == 201
    off = client.post("/account/second-step/off", {"present": PASSWORD, "code": code(secret, away=1)})
    assert off.status_code == 200, off.text
    assert other.get("/account").status_code == 401
    assert enter(world, bea)[1].status_code == 201
    post_office.deliver()
    told = texts(post_office, bea)
    assert [
        any(word in text for text in told) for word in ("at each sign-in", "recovery codes", "no code at sign-in")
    ] == [True] * 3


@pytest.mark.parametrize(
    "body", [{"present": "wrong-password"}, {"present": PASSWORD, "code": "000000"}, {"present": PASSWORD}]
)
def test_turning_it_off_needs_password_and_code(client, body):
    secret, _ = turn_on(client)
    full = {"code": code(secret, away=1)} | body
    if body == {"present": PASSWORD}:
        full.pop("code")
    assert client.post("/account/second-step/off", full).status_code == 422
    assert client.get("/account").get_json()["second_step"] is True


def test_recovery_codes_are_kept_as_hashes_and_work_once_each(world, engine, client, bea):
    _, codes = turn_on(client)
    assert len(codes) == 10
    with engine.connect() as connection:
        kept = connection.execute(
            sa.select(RecoveryCode.code_hash).where(RecoveryCode.account_id == world.a.accounts[Role.MANAGER])
        ).all()
    assert len(kept) == 10
    assert not any(code.replace("-", "").encode() in bytes(row.code_hash) for row in kept for code in codes)
    assert enter(world, bea, code=codes[3].upper())[1].status_code == 201
    assert enter(world, bea, code=codes[3])[1].status_code == 401
    assert client.get("/account").get_json()["recovery_codes_left"] == 9
    fresh = client.post("/account/second-step/recovery-codes", {"present": PASSWORD, "code": codes[4]})
    assert fresh.status_code == 200, fresh.text
    assert enter(world, bea, code=codes[5])[1].status_code == 401
    assert enter(world, bea, code=fresh.get_json()["recovery_codes"][5])[1].status_code == 201


def test_codes_of_others_are_none(world, client, bea):
    _, codes = turn_on(client)
    viewer = world.client(world.a, Role.VIEWER)
    turn_on(viewer)
    assert enter(world, world.a.emails[Role.VIEWER], code=codes[0])[1].get_json()["code"] == "wrong_code"


def test_guessing_codes_is_paused(world, client, bea):
    secret, _ = turn_on(client)
    for _ in range(5):
        enter(world, bea, code="000000", address="203.0.113.9")
    paused = enter(world, bea, code=code(secret, away=1), address="203.0.113.9")[1]
    assert (paused.status_code, paused.get_json()["code"]) == (429, "locked_out")


def test_a_reset_leaves_the_second_step(world, post_office, client, bea):
    turn_on(client)
    world.nobody().post("/password-resets", {"email": bea})
    post_office.deliver()
    [token] = links(post_office, bea, "password-reset")
    assert world.nobody().post("/password-resets/use", {"token": token, "password": FRESH}).status_code == 204
    assert enter(world, bea, FRESH)[1].get_json()["code"] == "code_wanted"


def test_an_invitation_does_not_get_around_the_second_step(world, post_office, client, bea):
    secret, _ = turn_on(client)
    line = {"email": bea, "role": "viewer"}
    invited = world.client(world.b, Role.ADMIN).post("/invitations", {"invitations": [line]})
    assert invited.status_code == 201, invited.text
    post_office.deliver()
    [token] = [
        t
        for rcpt, raw in post_office.taken
        if rcpt == [bea]
        for t in re.findall(r"/invitations/([\w-]{86})", post_office.text(raw))
    ]
    body = {"token": token, "password": PASSWORD}
    refused = world.nobody().post("/invitations:accept", body)
    assert (refused.status_code, refused.get_json()["code"]) == (401, "code_wanted")
    assert world.nobody().post("/invitations:accept", body | {"code": code(secret, away=1)}).status_code == 201


def test_the_secret_is_sealed_and_opens_for_its_person_only(world, engine, app_settings, client):
    secret, _ = turn_on(client)
    mine, other = world.a.accounts[Role.MANAGER], world.a.accounts[Role.VIEWER]
    with engine.connect() as connection:
        sealed = connection.scalar(sa.select(SecondStep.secret_sealed).where(SecondStep.account_id == mine))
    assert secret.encode() not in sealed
    vault = Vault(app_settings.master_key)
    assert vault.open_personal(sealed, place=Place("second_step", mine, "secret_sealed")) == secret
    wrong = [
        (vault, sealed, Place("second_step", other, "secret_sealed")),
        (vault, sealed, Place("second_step", mine, "other_column")),
        (vault, sealed[:-1] + bytes([sealed[-1] ^ 1]), Place("second_step", mine, "secret_sealed")),
        (vault, b"\x01" + sealed[1:], Place("second_step", mine, "secret_sealed")),
        (Vault(b"x" * 32), sealed, Place("second_step", mine, "secret_sealed")),
    ]
    for opener, text, place in wrong:
        with pytest.raises(Unreadable):
            opener.open_personal(text, place=place)


def test_setting_up_in_the_wrong_order_is_refused(client):
    assert client.post("/account/second-step/confirm", {"code": "123456"}).get_json()["code"] == "second_step_is_off"
    proof = {"present": PASSWORD, "code": "123456"}
    assert client.post("/account/second-step/off", proof).status_code == 422
    assert client.post("/account/second-step", {"present": "wrong-password"}).status_code == 422
    client.post("/account/second-step", {"present": PASSWORD})
    wrong = client.post("/account/second-step/confirm", {"code": "000000"})
    assert (wrong.status_code, wrong.get_json()["errors"][0]["pointer"]) == (422, "/code")
    turn_on(client)
    assert client.post("/account/second-step", {"present": PASSWORD}).get_json()["code"] == "second_step_is_on"


# ---------- sessions ----------


def test_people_see_and_end_their_sessions(world, client):
    phone = world.client(world.a, Role.MANAGER)
    rows = client.get("/sessions").get_json()["data"]
    assert [row["current"] for row in rows].count(True) == 1
    [other] = [row for row in rows if not row["current"]]
    assert world.client(world.a, Role.ADMIN).delete(f"/sessions/{other['session_id']}").status_code == 404
    assert client.delete(f"/sessions/{other['session_id']}").status_code == 204
    assert phone.get("/account").status_code == 401
    assert client.delete(f"/sessions/{other['session_id']}").status_code == 404
    phone, tablet = (world.client(world.a, Role.MANAGER) for _ in "ab")
    assert client.post("/sessions/end-others").get_json() == {"ended": 2}
    assert [one.get("/account").status_code for one in (phone, tablet, client)] == [401, 401, 200]
    [own] = client.get("/sessions").get_json()["data"]
    assert client.delete(f"/sessions/{own['session_id']}").status_code == 204
    assert client.get("/account").status_code == 401
    assert own["session_id"] != show("ses", uuid7())


def test_a_session_says_when_it_was_last_used(world, engine, client):
    mine = AccountSession.account_id == world.a.accounts[Role.MANAGER]
    past = SystemClock().now() - timedelta(hours=3)
    with engine.begin() as connection:
        connection.execute(sa.update(AccountSession).where(mine).values(seen_at=past))
    client.get("/projects")
    with engine.connect() as connection:
        assert connection.scalar(sa.select(AccountSession.seen_at).where(mine)) > past + timedelta(hours=2)


# ---------- pauses ----------


def test_a_stranger_pauses_themselves_and_not_the_owner(world, bea):
    for _ in range(12):
        enter(world, bea, "wrong-password", address="203.0.113.66")
    assert enter(world, bea, address="203.0.113.66")[1].status_code == 429
    assert enter(world, bea, address="198.51.100.7")[1].status_code == 201


def test_many_strangers_do_not_keep_a_known_browser_out(world, bea):
    """From everywhere at once: unknown browsers wait, at most a quarter of an hour; the owner's own gets in."""
    known, answer = enter(world, bea)
    device = known.http.get_cookie("csn_device").value
    for number in range(52):
        enter(world, bea, "wrong-password", address=f"203.0.113.{number}")
    paused = enter(world, bea, address="198.51.100.7")[1]
    assert paused.status_code == 429
    assert int(paused.headers["Retry-After"]) <= 901
    assert enter(world, bea, device=device)[1].status_code == 201
    assert enter(world, world.a.emails[Role.ADMIN], address="198.51.100.7")[1].status_code == 201
    forged = enter(world, bea, device="x" * 43, address="198.51.100.8")[1]
    assert answer.status_code == 201
    assert forged.status_code == 429, "an unknown cookie is an unknown browser, whatever the owner did in their own"


def test_a_known_browser_that_guesses_is_paused(world, bea):
    device = enter(world, bea)[0].http.get_cookie("csn_device").value
    for _ in range(5):
        enter(world, bea, "wrong-password", device=device)
    assert enter(world, bea, device=device)[1].status_code == 429


def test_a_pause_sounds_the_same_for_unknown_addresses(world, bea):
    found = []
    for email in (bea, f"nobody.{uuid7().hex}@northwind.example"):
        tries = [enter(world, email, "wrong-password", address="203.0.113.77")[1] for _ in range(7)]
        found.append([(answer.status_code, answer.get_json()["code"]) for answer in tries])
    assert found[0] == found[1]
    assert found[0][-1] == (429, "locked_out")


def test_a_reset_forgets_known_browsers(world, post_office, bea):
    device = enter(world, bea)[0].http.get_cookie("csn_device").value
    world.nobody().post("/password-resets", {"email": bea})
    post_office.deliver()
    [token] = links(post_office, bea, "password-reset")
    world.nobody().post("/password-resets/use", {"token": token, "password": FRESH})
    for _ in range(5):
        enter(world, bea, "wrong-password", device=device, address="203.0.113.5")
    assert enter(world, bea, FRESH, address="203.0.113.5")[1].status_code == 429


# ---------- cookies, sign-in by others, answers that tell nothing ----------


def test_cookies_of_an_installation_behind_tls_are_for_this_host_only(app, world, app_settings, bea):
    secure = create_app(replace(app_settings, public_url="https://countersign.example"), clock=SystemClock())
    answer = secure.test_client().post(
        "/api/v1/sessions", json={"email": bea, "password": PASSWORD}, base_url="https://countersign.example"
    )
    assert answer.status_code == 201, answer.text
    cookies = answer.headers.getlist("Set-Cookie")
    assert sorted(cookie.partition("=")[0] for cookie in cookies) == ["__Host-csn", "__Host-csn_device"]
    for cookie in cookies:
        assert all(flag in cookie for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
        assert "Domain" not in cookie


def test_a_password_of_broken_characters_is_refused(world, bea):
    for word in ("\ud800" * 12, "a\0bcdefghijkl"):
        assert enter(world, bea, word)[1].status_code == 422


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_no_other_site_can_sign_somebody_in(world, bea, kind):
    """A form of another site can send these types only; with none of them is anybody signed in."""
    body = f'{{"email": "{bea}", "password": "{PASSWORD}"}}'
    answer = world.app.test_client().post("/api/v1/sessions", data=body, content_type=kind)
    assert answer.status_code in {400, 415, 422}
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\/evil.example", "javascript:alert(1)", "/\t/evil.example",
     "%2f%2fevil.example", "///evil.example", "https:evil.example", "/w\r\nLocation: https://evil.example"],
)  # fmt: skip
def test_no_way_on_leads_elsewhere(world, bea, wanted):
    http = world.app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', http.get("/sign-in").text)[1]
    form = {"email": bea, "password": PASSWORD, "next": wanted, "csrf_token": token}
    answer = http.post("/sign-in", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    shown = http.get("/sign-in", query_string={"next": wanted})
    assert (shown.status_code, shown.headers["Location"]) == (303, "/")


def test_an_invitation_tells_the_inviter_nothing_about_accounts(world, post_office):
    """Of an address with an account elsewhere and of one without, the answer differs in its ids only."""
    admin = world.client(world.a, Role.ADMIN)
    known, unknown = world.b.emails[Role.VIEWER], f"x.{uuid7().hex}@northwind.example"
    answers = []
    for email in (known, unknown):
        answer = admin.post("/invitations", {"invitations": [{"email": email, "role": "viewer"}]})
        assert answer.status_code == 201, answer.text
        [line] = answer.get_json()["data"]
        answers.append(
            {key: value for key, value in line.items() if key not in {"email", "invitation_id", "expires_at"}}
        )
    assert answers[0] == answers[1]


def test_the_waiting_second_step_ends_with_the_password_and_after_ten_minutes(app_settings, world, client, bea):
    """The page's first half proves the password for a short while only."""
    secret, _ = turn_on(client)
    clock = FixedClock(SystemClock().now())
    app = create_app(app_settings, clock=clock)
    http = app.test_client()

    def post(path, **form):
        token = re.search(
            r'name="csrf_token" value="([^"]+)"', http.get("/sign-in" if path == "/sign-in" else path).text
        )[1]
        return http.post(path, data={**form, "csrf_token": token})

    first = post("/sign-in", email=bea, password=PASSWORD, next="/workspaces")
    assert first.headers["Location"] == "/sign-in/code"
    clock.at += timedelta(minutes=9)
    assert http.get("/sign-in/code").status_code == 200
    clock.at += timedelta(minutes=2)
    assert http.get("/sign-in/code").headers["Location"] == "/sign-in"
    post("/sign-in", email=bea, password=PASSWORD, next="/workspaces")
    assert client.post("/account/password", {"present": PASSWORD, "password": FRESH}).status_code == 200
    gone = post("/sign-in/code", code=code_at_clock(secret, clock))
    assert gone.headers["Location"] == "/sign-in"
    assert http.get("/workspaces").status_code == 303


def code_at_clock(secret, clock):
    return code_at(base64.b32decode(secret), step_of(clock.at))
