"""39: facts about messages that come ten times, out of order, and before the hand-over is written down."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor

from saas.content.rules import tokens
from saas.content.types import Purpose
from tests.faults.registry import fault
from tests.faults.rig.scene import campaign_uuid
from tests.faults.scenarios.people import _vault, post_unsubscribe


@fault(39, "clicks and unsubscribes ten times, out of order, before acceptance is recorded")
def intake(rig):
    """Bounces and complaints have no intake yet; clicks and unsubscribes have."""
    with rig.stage(pace_s=0.05) as stage:
        stage.start(bulk=1).begin()
        stage.sent(5, port=stage.a.port)
        vault, tenant = _vault(), stage.a.place.tenant_id
        rows = stage.books.all(
            "SELECT contact_id, entry_id FROM entry WHERE campaign_id = %s ORDER BY entry_id",
            campaign_uuid(stage.a.marketing),
        )
        sent = {k.rcpt for k in stage.sink.kept() if k.cam == stage.a.marketing}
        chosen = [entry for contact, entry in rows if stage.a.people[contact] in sent][:5]
        made = {}
        for purpose in (Purpose.CLICK, Purpose.UNSUBSCRIBE):
            key = tokens.subkey(vault.link_key, tenant_id=tenant, purpose=purpose)
            made[purpose] = [
                tokens.make(key, purpose=purpose, tenant_id=tenant, entry_id=entry, step_no=1) for entry in chosen
            ]
        with ThreadPoolExecutor(10) as pool:
            clicks = [pool.submit(_click, stage.web_port, token) for token in made[Purpose.CLICK] * 10]
            leaves = [pool.submit(post_unsubscribe, stage.web_port, token) for token in made[Purpose.UNSUBSCRIBE] * 10]
            answers = {call.result() for call in clicks} | {call.result() for call in leaves}
        stage.expect(answers <= {200, 302}, f"answers {answers}")
        left = stage.books.one("SELECT count(*) FROM consent WHERE tenant_id = %s AND status = 'withdrawn'", tenant)
        stage.expect(left == len(chosen), f"{left} left, {len(chosen)} had asked")
        stage.hurry()
        noted = stage.books.one("SELECT count(*) FROM event WHERE tenant_id = %s AND kind = 'unsubscribed'", tenant)
        stage.expect(noted == len(chosen), f"{noted} unsubscribes are noted for {len(chosen)} people")
        stage.finish(90)
        time.sleep(0.1)
        states = {p.email: p.state for p in stage.books.people(stage.a, stage.a.marketing)}
        stage.expect(all(states[email] == "accepted" for email in sent), "who had clicked is not accepted")


def _click(port: int, token: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("GET", f"/c/{token}/0")
        return connection.getresponse().status
    finally:
        connection.close()
