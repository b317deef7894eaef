"""31: one tenant has much to do, the other little and at once."""

from saas.kernel.clock import monotonic
from tests.faults.registry import fault
from tests.faults.rig.calls import Shop, recipients


@fault(31, "noisy neighbour: A's backlog and calls without pause, B's 100 calls one by one")
def noisy(rig):
    """The full size (100,000 and more waiting) is the bench's; here the calls of both go on while A's run does."""
    with rig.stage(pace_s=0.01) as stage:
        stage.start(bulk=1, transactional=2).begin(transactional=False)
        loud = Shop(stage.web(stage.a), stage.a, at_once=200, pause_s=0.0)
        stage.shops.append(loud)
        ready = "SELECT count(*) FROM run WHERE state = 'running' AND campaign_id IN (SELECT campaign_id FROM campaign WHERE kind = 'api')"
        for side in stage.sides:
            stage.make_due(side.transactional)
        stage.within(lambda: stage.books.one(ready) == 2, 20, "the calls' runs are open")
        loud.start()
        asked = _calls_of_b(stage, 100)
        stage.finish(120)
        arrived = {k.rcpt: k.at for k in stage.sink.kept() if k.cam == stage.b.transactional}
        took = sorted(arrived[address] - at for address, at in asked.items() if address in arrived)
        stage.expect(len(took) == len(asked), f"{len(asked) - len(took)} of b's calls never arrived")
        if took:
            p50, p95 = took[len(took) // 2], took[int(len(took) * 0.95)]
            stage.note(f"b: p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms from call to acceptance")
            stage.expect(p95 < 1.0, f"b's p95 is {p95:.2f} s")


def _calls_of_b(stage, count: int) -> dict[str, float]:
    web, asked = stage.web(stage.b), {}
    for address in stage.b.addresses[:count]:
        at = monotonic()
        status, _ = web.call(
            "POST", f"/campaigns/{stage.b.transactional}/trigger", {"recipients": recipients([address])}
        )
        stage.expect(status == 202, f"a call of b was answered {status}")
        asked[address] = at
    return asked
