"""Edit, withdraw and resubmit against approve, again and again (R13, U1): what is published is what somebody signed."""

import threading

import pytest
import sqlalchemy as sa

from saas.kernel.ids import parse
from saas.permissions.types import Role
from tests import scenes
from tests.tally import size
from tests.worlds import bound

pytestmark = pytest.mark.integration


def together(*calls):
    gate, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(index, call):
        gate.wait(timeout=60)
        answers[index] = call()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers


class Race:
    """One campaign after another; a manager who rewrites what is in review, and two approvers who sign what they saw."""

    def __init__(self, world) -> None:
        self.world = world
        self.manager, self.approver, self.admin = (
            world.client(world.a, role) for role in (Role.MANAGER, Role.APPROVER, Role.ADMIN)
        )
        self.list_id, _ = scenes.add_people(world, world.a, 1)
        self.channel = scenes.add_channel(world, world.a, 25)

    def ask(self) -> tuple[str, str]:
        campaign_id = scenes.make_campaign(self.world, self.world.a)
        self.draft = scenes.dated_draft(self.list_id, self.channel, scenes.soon())
        url = f"/campaigns/{campaign_id}/revisions/1"
        saved = self.manager.put(url, {"draft": self.draft}, etag='"1"')
        assert saved.status_code == 200, saved.text
        sent = self.manager.post(f"{url}/submit")
        assert sent.status_code == 200, sent.text
        return campaign_id, sent.get_json()["content_hash"]

    def rewrite(self, url: str, number: int) -> list[int]:
        """Take it back, change it, ask again; each step may be refused once it is published."""
        answers = [self.manager.post(f"{url}/withdraw").status_code]
        read = self.manager.get(url)
        self.draft["steps"][0]["content"]["subject"] = f"Changed {number}"
        answers.append(self.manager.put(url, {"draft": self.draft}, etag=read.headers["ETag"]).status_code)
        answers.append(self.manager.post(f"{url}/submit").status_code)
        return answers

    def look(self, campaign_id: str) -> dict[str, object]:
        with bound(self.world.engine, self.world.a) as session:
            row = session.execute(
                sa.text(
                    "SELECT v.state, v.content_hash, 'v1:' || encode(sha256(v.document), 'hex') AS found,"
                    " (SELECT count(*) FROM approval a WHERE a.campaign_id = v.campaign_id) AS signed,"
                    " (SELECT count(*) FROM approval a WHERE a.campaign_id = v.campaign_id AND a.content_hash = v.content_hash) AS same,"
                    " (SELECT count(*) FROM approval_request q WHERE q.campaign_id = v.campaign_id AND q.state IN ('open', 'approved')) AS live,"
                    " (SELECT count(*) FROM agenda g WHERE g.subject = v.campaign_id::text AND g.kind = 'campaign.start') AS armed"
                    " FROM revision v WHERE v.campaign_id = :c"
                ),
                {"c": parse("cam", campaign_id)},
            ).one()
            return dict(row._mapping)


def test_r13_edit_withdraw_and_resubmit_against_approve(world):
    race = Race(world)
    won = 0
    for number in range(size("approval_races")):
        campaign_id, content_hash = race.ask()
        url = f"/campaigns/{campaign_id}/revisions/1"
        body = {"content_hash": content_hash}
        signer = race.approver if number % 2 else race.admin
        approved, rewritten = together(
            lambda url=url, body=body, signer=signer: signer.post(f"{url}/approve", body),
            lambda url=url, number=number: race.rewrite(url, number),
        )
        found = race.look(campaign_id)
        assert found["live"] == 1
        if approved.status_code == 200:
            won += 1
            assert rewritten == [409, 409, 409], rewritten
            assert (found["state"], found["content_hash"], found["same"], found["armed"]) == (
                "published",
                content_hash,
                1,
                1,
            )
        else:
            assert approved.get_json()["code"] in {"changed_since_you_looked", "not_allowed_in_this_state"}
            assert (rewritten, found["state"], found["signed"], found["armed"]) == ([200, 200, 200], "in_review", 0, 0)
            assert found["content_hash"] != content_hash
        assert found["found"] == found["content_hash"]
    assert won > 0, "the signature never came first: this race shows nothing"
