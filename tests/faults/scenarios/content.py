"""29 and 30: what templates and people's values can do to a sender."""

import os
import signal
import time

from tests.faults.registry import NOT_RUN, fault
from tests.faults.rig.programs import children_of
from tests.faults.rig.scene import content, kept_back

NOT_RUN[29] = "webhooks, SMS and push do not exist yet"
_ENDLESS = "{% for i in (1..9000) %}{% for j in (1..9000) %}{{ i | times: j }}{% endfor %}{% endfor %}"
_HUGE = "{% for i in (1..2000000) %}0123456789012345678901234567890123456789012345678901234567890{% endfor %}"


@fault(30, "templates without end and without measure, a killed renderer, a value of 5 MB")
def poison(rig):
    for name, words in (("endless", _ENDLESS), ("huge", _HUGE)):
        with rig.stage(name) as stage:
            campaign = _poisoned(stage, "{% if contact.email %}" + words + "{% endif %}")
            if campaign is None:
                stage.note("refused before anybody could sign it")
                continue
            stage.facts.slower.add("b")
            stage.start(bulk=2)
            stage.make_due(campaign)
            stage.begin()
            stage.finish(90)
            stage.within(
                lambda s=stage, c=campaign: s.books.counts(s.a, c)["open"] == 0, 120, "the poisoned run is final"
            )
            found = stage.books.counts(stage.a, campaign)
            stage.expect(set(found) == {"failed"}, f"the poisoned run: {dict(found)}")
    with rig.stage("renderer-killed", pace_s=0.01) as stage:
        stage.start().begin()
        killed = 0
        for _ in range(10):
            stage.sent(stage.sink.count() + 10) if stage.open() else None
            for worker in stage.bulk.workers():
                for child in children_of(worker):
                    os.kill(child, signal.SIGKILL)
                    killed += 1
        stage.note(f"{killed} renderers killed")
        stage.finish(90)
    with rig.stage("value") as stage:
        contacts = list(stage.a.people)[3:6]
        stage.books.run(
            "UPDATE contact SET attributes = jsonb_set(attributes, '{first_name}', to_jsonb(repeat('x', 5000000))) WHERE contact_id = ANY(%s)",
            contacts,
        )
        stage.start().begin()
        stage.finish(90)
        time.sleep(0.5)
        odd = [p for p in stage.books.people(stage.a, stage.a.marketing) if p.state != "accepted"]
        stage.note(f"not accepted: {[(p.email, p.state, p.reason) for p in odd]}")
        stage.expect(len(odd) <= 3, f"{len(odd)} suffered from three values")


def _poisoned(stage, words: str) -> str | None:
    world = stage.world()
    made = content(stage.a.canary, stage.a.wording)
    made["html"] += words
    try:
        return kept_back(world, stage.a.place, stage.a.list_id, stage.a.channels["marketing"], **made)
    except AssertionError:
        return None
