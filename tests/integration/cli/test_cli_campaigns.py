"""`saas campaigns update` and `trigger` as a clock of one's own runs them: for everything, or for one (M16-M22, R15)."""

import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

from saas.kernel.ids import parse
from saas.permissions.types import Role
from tests import scenes
from tests.conftest import KEY, ROOT
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def saas(app_settings, nobody_else):
    environ = {
        "PATH": os.environ["PATH"], "COLUMNS": "200", "DATABASE_URL": app_settings.database_url,
        "REDIS_URL": app_settings.redis_url, "SECRET_KEY": KEY, "MASTER_KEY": KEY,
    }  # fmt: skip

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "saas.cli.main", "campaigns", *words], cwd=ROOT, env=environ, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip

    return run


def active(world, place, *, kind):
    campaign_id = scenes.make_campaign(world, place, kind=kind)
    with bound(world.engine, place) as session:
        session.execute(
            sa.text("UPDATE campaign SET state = 'active' WHERE campaign_id = :id"), {"id": parse("cam", campaign_id)}
        )
        session.commit()
    return campaign_id


def woken(world):
    """What stands on the agenda of the two workspaces, which is then forgotten."""
    found = []
    for place in (world.a, world.b):
        with bound(world.engine, place) as session:
            rows = session.execute(sa.text("SELECT kind, subject FROM agenda")).all()
            found += [(kind, subject) for kind, subject in rows if kind in {"flow.update", "campaign.start"}]
            session.execute(sa.text("DELETE FROM agenda"))
            session.commit()
    return sorted(found)


def test_m20_m21_all_campaigns_or_one_are_updated_and_triggered(world, saas):
    here, there = (active(world, place, kind="flowing") for place in (world.a, world.b))
    dated = active(world, world.a, kind="dated")
    ids = {name: str(parse("cam", name)) for name in (here, there, dated)}
    woken(world)

    told = saas("update")
    assert (told.returncode, "2 flowing campaigns" in told.stdout) == (0, True), told.stderr
    assert woken(world) == sorted([("flow.update", ids[here]), ("flow.update", ids[there])])
    assert saas("update", "--campaign", there).returncode == 0
    assert woken(world) == [("flow.update", ids[there])]
    assert saas("update", "--campaign", dated).returncode == 4, "it has no audience to be compared with"

    assert "3 campaigns" in saas("trigger").stdout
    assert woken(world) == sorted(("campaign.start", each) for each in ids.values())
    assert "2 campaigns" in saas("trigger", "--workspace", world.a.wsp).stdout
    assert woken(world) == sorted([("campaign.start", ids[here]), ("campaign.start", ids[dated])])
    refused = saas("trigger", "--campaign", there, "--workspace", world.a.wsp)
    assert (refused.returncode, woken(world)) == (4, []), refused.stdout


def test_m21_what_flows_is_said_to_start_as_people_come(world, saas):
    flowing = active(world, world.a, kind="flowing")
    shown, updated, looked = (
        saas("show", flowing),
        saas("update", "--campaign", flowing),
        saas("trigger", "--campaign", flowing),
    )
    assert "as people come" in shown.stdout and "calls" not in shown.stdout, shown.stderr
    assert "1 flowing campaign is being updated." in updated.stdout
    assert "1 campaign is being looked at." in looked.stdout
    answer = world.client(world.a, Role.MANAGER).post(
        f"/campaigns/{flowing}/trigger", {"recipients": [{"email": "p1@example.org"}]}
    )
    assert answer.status_code == 409 and "people come in" in answer.get_json()["detail"], answer.text
    listed = world.client(world.a, Role.VIEWER).http.get(f"/w/{world.a.wsp}/").text
    assert "As people come" in listed and "On call" not in listed
