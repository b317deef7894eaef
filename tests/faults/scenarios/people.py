"""32 to 36: stops, opt-outs, edits, repeated calls and imports in the middle of everything."""

import base64
import http.client
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from saas.content.rules import tokens
from saas.content.types import Purpose
from saas.kernel.clock import SystemClock, monotonic
from saas.platform.secrets.service import Vault
from tests import scenes
from tests.conftest import KEY
from tests.faults.registry import fault
from tests.faults.rig.calls import recipients, until
from tests.faults.rig.programs import children_of
from tests.faults.rig.scene import campaign_uuid, content
from tests.faults.rig.stage import Refusal, Stage
from tests.faults.rig.waiting import wait_until


@fault(32, "stop at half under four workers; pause and resume twenty times; stop while PostgreSQL restarts", quick=True)
def stopped(rig):
    with rig.stage("stop") as stage:
        stage.start(bulk=4).begin()
        _at_half(stage)
        _stop(stage)
        stage.finish(60)
        time.sleep(1.5)
        found = stage.books.counts(stage.a, stage.a.marketing)
        stage.expect(found["cancelled"], f"nobody was cancelled: {dict(found)}")
        stage.note(f"{dict(found)}")
    with rig.stage("pauses", pace_s=0.01) as stage:
        stage.start(bulk=2).begin()
        web, path = stage.web(stage.a), f"/campaigns/{stage.a.marketing}"
        for _ in range(5 if rig.quick else 20):
            stage.sent(stage.sink.count() + 3) if stage.open() else None
            status, _ = web.call("POST", f"{path}/pause", {})
            at = monotonic()
            if status not in {200, 202}:
                break
            time.sleep(stage.dice.between(0.05, 1.4))
            back = monotonic()
            if back - at > 1.05:
                late = [k for k in stage.sink.kept() if k.cam == stage.a.marketing and at + 1.0 < k.at < back]
                stage.expect(len(late) <= 2, f"{len(late)} messages more than a second after a pause was answered")
            web.call("POST", f"{path}/resume", {})
        stage.finish(90)
        stage.expect(
            stage.books.counts(stage.a, stage.a.marketing)["accepted"] == rig.scene.count, "not everybody was served"
        )
    if rig.quick:
        return
    with rig.stage("restart", pace_s=0.01) as stage:
        stage.start(bulk=2).begin()
        _at_half(stage)
        stage.cluster.tell(signal.SIGQUIT)
        stopping = threading.Thread(target=_stop, args=(stage,), kwargs={"wait": False})
        stopping.start()
        time.sleep(1.0)
        stage.cluster.start()
        stage.connect()
        stopping.join(40)
        wait_until(lambda: stage.books.state(stage.a.marketing) == "stopped", what="stopped")
        stage.finish(60)


def _at_half(stage: Stage) -> None:
    half = len(stage.a.people) // 2
    wait_until(
        lambda: sum(k.cam == stage.a.marketing for k in stage.sink.kept()) >= half,
        what="half of it is sent",
        every_s=0.005,
    )


def _stop(stage: Stage, *, wait: bool = True) -> None:
    at, _ = until(stage.web(stage.a), "POST", f"/campaigns/{stage.a.marketing}/stop", {200, 202, 409})
    refusal = Refusal(stage.a, stage.a.marketing, at)
    stage.facts.refusals.append(refusal)
    if wait:
        wait_until(lambda: stage.books.state(stage.a.marketing) == "stopped", what="stopped")
        refusal.stopped_at = monotonic()


@fault(33, "unsubscribes, suppressions and erasures, ten a second, while it is sent")
def opted_out(rig):
    with rig.stage(pace_s=0.02) as stage:
        stage.start(bulk=2).begin()
        stage.sent(10)
        entries = _entries(stage)
        asked = 0
        while asked < (60 if rig.quick else 250):
            waiting = [p.email for p in stage.books.people(stage.a, stage.a.marketing) if p.state == "open"]
            fresh = [email for email in waiting if not any(r.address == email for r in stage.facts.refusals)]
            if len(fresh) < 5:
                break
            for _ in range(3):
                email = stage.dice.pick(fresh[len(fresh) // 3 :])
                _opt_out(stage, email, entries[email], ("unsubscribe", "suppress", "erase")[asked % 3])
                asked += 1
            time.sleep(0.3)
        stage.note(f"{asked} opted out while it was sent")
        stage.finish(90)
        skipped = stage.books.counts(stage.a, stage.a.marketing)["skipped"]
        stage.note(f"{skipped} of them were spared")
        stage.expect(skipped, "nobody was spared: everybody had been sent to before")


def _entries(stage: Stage) -> dict[str, int]:
    rows = stage.books.all(
        "SELECT contact_id, entry_id FROM entry WHERE campaign_id = %s", campaign_uuid(stage.a.marketing)
    )
    return {stage.a.people[contact]: entry for contact, entry in rows}


def _opt_out(stage: Stage, email: str, entry_id: int, how: str) -> None:
    """A person's own word over the public address; the others as the product's own statements leave them."""
    vault = _vault()
    tenant = stage.a.place.tenant_id
    if how == "unsubscribe":
        key = tokens.subkey(vault.link_key, tenant_id=tenant, purpose=Purpose.UNSUBSCRIBE)
        token = tokens.make(key, purpose=Purpose.UNSUBSCRIBE, tenant_id=tenant, entry_id=entry_id, step_no=1)
        status = post_unsubscribe(stage.web_port, token)
        stage.expect(status == 200, f"an unsubscribe was answered {status}")
    elif how == "suppress":
        stage.books.run(
            "INSERT INTO suppression (tenant_id, address_hash, reason, at) VALUES (%s, %s, 'complaint', %s) ON CONFLICT DO NOTHING",
            tenant, vault.address_hash(email), SystemClock().now(),
        )  # fmt: skip
    else:
        stage.books.run(
            "UPDATE contact SET erased_at = %s, email = NULL, email_key = NULL WHERE tenant_id = %s AND email = %s",
            SystemClock().now(), tenant, email,
        )  # fmt: skip
    stage.facts.refusals.append(Refusal(stage.a, stage.a.marketing, monotonic(), address=email))
    if how != "unsubscribe":  # an unsubscribe is from the newsletter, not from calls
        stage.facts.refusals.append(Refusal(stage.a, stage.a.transactional, monotonic(), address=email))


def _vault() -> Vault:
    return Vault(base64.b64decode(KEY))


def post_unsubscribe(port: int, token: str) -> int:
    """One click, as RFC 8058 has it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request(
            "POST", f"/u/{token}", "List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"}
        )
        return connection.getresponse().status
    finally:
        connection.close()


@fault(34, "edit, role removed, approval revoked, credentials rotated in the middle of a run")
def changed(rig):
    with rig.stage("edit", pace_s=0.01) as stage:
        stage.start(bulk=2).begin()
        stage.sent(20)
        world = stage.world()
        manager = world.client(stage.a.place, stage.roles.MANAGER)
        made = manager.post(f"/campaigns/{stage.a.marketing}/revisions")
        stage.note(f"a new revision of a running campaign: {made.status_code}")
        if made.status_code == 201:
            draft = scenes.dated_draft(
                stage.a.list_id, stage.a.channels["marketing"], scenes.soon(), **content(stage.a.canary, "WORDING-a7")
            )
            path = f"/campaigns/{stage.a.marketing}/revisions/{made.get_json()['no']}"
            manager.put(path, {"draft": draft}, etag=manager.get(path).headers["ETag"])
        stage.finish(60)
    with rig.stage("revoked", pace_s=0.01) as stage:
        stage.start(bulk=2).begin()
        stage.sent(20)
        approver = stage.world().client(stage.a.place, stage.roles.APPROVER)
        digest = approver.get(f"/campaigns/{stage.a.marketing}/revisions/1").get_json()["content_hash"]
        answer = approver.post(
            f"/campaigns/{stage.a.marketing}/revisions/1/revoke", {"content_hash": digest, "comment": "wrong price"}
        )
        at = monotonic()
        stage.expect(answer.status_code == 200, f"a revocation was answered {answer.status_code}: {answer.text[:200]}")
        stage.facts.refusals.append(Refusal(stage.a, stage.a.marketing, at))
        time.sleep(3)
        stage.note(f"the campaign is {stage.books.state(stage.a.marketing)}")
        stage.facts.may_stay_open |= set(stage.a.addresses)
        stage.finish(60)
    with rig.stage("rotated", pace_s=0.01) as stage:
        stage.start(bulk=2).begin()
        stage.sent(20)
        client = stage.world().client(stage.a.place, stage.roles.ADMIN)
        channel = stage.a.channels["marketing"]
        for number in range(3):
            etag = client.get(f"/channels/{channel}").headers["ETag"]
            answer = client.patch(f"/channels/{channel}", {"rate_per_minute": 100_000 + number}, etag=etag)
            stage.expect(
                answer.status_code == 200, f"a rotation was answered {answer.status_code}: {answer.text[:200]}"
            )
            time.sleep(0.3)
        key = stage.books.one("SELECT count(*) FROM api_key WHERE tenant_id = %s", stage.a.place.tenant_id)
        stage.note(f"{key} keys; roles of the submitter are taken away")
        stage.books.run(
            "DELETE FROM role_grant WHERE tenant_id = %s AND account_id = %s",
            stage.a.place.tenant_id,
            stage.a.place.accounts[stage.roles.MANAGER],
        )
        stage.finish(60)


@fault(35, "one idempotency key fifty times at once, a crash after the first effect, another body")
def repeated(rig):
    with rig.stage() as stage:
        stage.start().begin(marketing=False)
        stage.finish(60)
        web, side = stage.web(stage.a), stage.a
        path = f"/campaigns/{side.transactional}/trigger"
        body = {"recipients": keyless(side.addresses[:5])}
        stage.facts.called_again |= set(side.addresses[:25])
        before = len(stage.books.people(side, side.transactional))
        with ThreadPoolExecutor(50) as pool:
            calls = [pool.submit(web.call, "POST", path, body, Idempotency_Key="fifty") for _ in range(50)]
            answers = sorted(call.result()[0] for call in calls)
        stage.expect(set(answers) <= {202, 409}, f"answers {set(answers)}")
        stage.within(lambda: web.call("POST", path, body, Idempotency_Key="fifty")[0] == 202, 10, "the kept answer")
        stage.expect(
            len(stage.books.people(side, side.transactional)) == before + 5, "a key had its effect more than once"
        )
        status, _ = web.call("POST", path, {"recipients": recipients(side.addresses[:1])}, Idempotency_Key="fifty")
        stage.expect(status == 422, f"another body under a used key was answered {status}")
        _crash_after_effect(stage, web, path, before + 5)
        stage.note(f"fifty answers: {answers.count(202)} x 202, {answers.count(409)} x 409")
        stage.facts.may_stay_open.add("*")
        stage.within(
            lambda: not [p for p in stage.books.people(side, side.transactional) if p.state == "open"],
            30,
            "all are final",
        )


def keyless(addresses: list[str]) -> list[dict]:
    """Recipients without a key of their own: only the call's key keeps them from a second message."""
    return [{name: value for name, value in each.items() if name != "entry_key"} for each in recipients(addresses)]


def _crash_after_effect(stage, web, path: str, before: int) -> None:
    """Kill the web's processes while calls are on their way; the same call again has one effect in all."""
    done = []
    bodies = [{"recipients": keyless([address])} for address in stage.a.addresses[5:25]]

    def call(number: int) -> None:
        for _ in range(60):
            try:
                if web.call("POST", path, bodies[number], Idempotency_Key=f"crash-{number}")[0] == 202:
                    done.append(number)
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.2)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(20)]
    for caller in callers:
        caller.start()
    for pid in children_of(stage.web_program.pid):
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.03)
    for caller in callers:
        caller.join(30)
    stage.expect(len(done) == 20, f"{20 - len(done)} calls were never answered")
    count = len(stage.books.people(stage.a, stage.a.transactional))
    stage.expect(count == before + 20, f"{count - before} entries for 20 calls")


@fault(36, "import: kill -9 in the middle of the file, the same file twice, two imports of one list")
def imported(rig):
    rows = 4000 if rig.quick else 60_000
    with rig.stage() as stage:
        stage.start().begin()
        text = "E-mail,First name,Newsletter\n" + "".join(f"n{n}@example.net,New {n},yes\n" for n in range(rows))
        web = stage.web(stage.a)
        for _ in range(2):
            status, _ = _upload(stage, text)
            stage.expect(status == 202, f"an import was answered {status}")
        killed = 0
        while killed < (2 if rig.quick else 5) and _imports(stage) != {"done"}:
            wait_until(stage.maintenance.workers, what="maintenance works")
            time.sleep(0.7)
            stage.maintenance.tell_group(signal.SIGKILL)
            stage.maintenance.process.wait()
            stage.maintenance = stage.crew.again(stage.maintenance)
            killed += 1
        wait_until(lambda: _imports(stage) == {"done"}, what="both imports are done", limit_s=180, every_s=0.2)
        stage.finish(60)
        known = "SELECT count(*) FROM contact WHERE tenant_id = %s AND email LIKE 'n%%@example.net'"
        stage.expect(
            stage.books.one(known, stage.a.place.tenant_id) == rows, "the contacts are not exactly those of the file"
        )
        members = "SELECT count(*) FROM list_member WHERE tenant_id = %s"
        stage.expect(
            stage.books.one(members, stage.a.place.tenant_id) == rows + rig.scene.count, "the list is not exact"
        )
        stage.note(f"{killed} kills; {web.ready()}")


def _upload(stage, text: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", stage.web_port, timeout=60)
    try:
        connection.request(
            "POST", f"/api/v1/imports?list_id={stage.a.list_id}&file_name=new.csv", text.encode(),
            {"Authorization": f"Bearer {stage.a.place.key}", "Content-Type": "text/csv"},
        )  # fmt: skip
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _imports(stage) -> set[str]:
    return {row[0] for row in stage.books.all("SELECT state FROM import WHERE tenant_id = %s", stage.a.place.tenant_id)}
