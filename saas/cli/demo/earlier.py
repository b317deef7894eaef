"""Before a run: what earlier runs left open must come to its end, and must have kept its promise."""

from typing import Any, Final

from saas.cli.demo.client import Api, Unexpected
from saas.cli.demo.memory import Run
from saas.cli.demo.screen import Wrong, insist
from saas.cli.demo.world import World, check_balance

_RECOVERY_S: Final = 180.0
_STOPPED_S: Final = 90.0
_UNDER_WAY: Final = frozenset({"scheduled", "active", "paused", "stopping", "held"})
# In these states nothing goes on by itself: a person would decide, and here that is us.
_STUCK: Final = frozenset({"paused", "held"})


def wait_for_earlier_runs(world: World) -> None:
    """Wait until every run that is not known to be final is so, and compare its first campaign with the inbox."""
    open_runs = [run for run in world.memory.runs if not run.final]
    if not open_runs:
        return
    world.screen.step("0  Earlier runs")
    for run in open_runs:
        _finish(world, run)
        run.final = True
        world.save()


def _finish(world: World, run: Run) -> None:
    admin = Api(world.ports.web_url, workspace=run.workspace_id)
    try:
        admin.sign_in(email=run.people["admin"].email, password=run.people["admin"].password)
    except Unexpected as error:
        if error.answer.status != 401:
            raise
        world.screen.note(f"run {run.no} ended before it had an admin; nothing of it can be open")
        return
    _lead_channels_here(world, admin)
    campaigns = [row for row in admin.all("/campaigns") if row["state"] in _UNDER_WAY]
    with world.screen.working(f"waiting until run {run.no} is final …"):
        for row in campaigns:
            _settle(world, admin, row["campaign_id"])
    if "first" in run.campaigns:
        _compare(world, admin, run)
    admin.close()


def _lead_channels_here(world: World, admin: Api) -> None:
    """Tell the run's channels where the inbox listens now; the port is no part of what was signed."""
    for row in admin.all("/channels"):
        if row["host"] == "127.0.0.1" and row["port"] != world.ports.smtp:
            admin.patch(f"/channels/{row['channel_id']}", {"port": world.ports.smtp}, version=row["version"])


def _settle(world: World, admin: Api, campaign_id: str) -> None:
    path = f"/campaigns/{campaign_id}"
    try:
        world.until(f"The end of {path}", lambda: _is_final(admin, path), timeout_s=_RECOVERY_S)
    except Wrong:
        world.screen.warn("a campaign of an earlier run does not come to its end; it is stopped")
        admin.post(f"{path}/stop", {}, expect=202)
        world.until(f"The end of {path} after it was stopped", lambda: _is_final(admin, path), timeout_s=_STOPPED_S)


def _is_final(admin: Api, path: str) -> bool | None:
    found = admin.get(path)
    if found["state"] in _STUCK:
        admin.post(f"{path}/stop", {}, expect=202)
    waits_for_people = found["kind"] in {"api", "flowing"} and found["state"] == "active"
    if found["state"] in _UNDER_WAY and not waits_for_people:
        return None
    report = admin.get(f"{path}/report")
    check_balance(report)
    return True if not report["open"] else None


def _compare(world: World, admin: Api, run: Run) -> None:
    """Insist that what the ledger says of a run that was cut off is what happened."""
    report: dict[str, Any] = admin.get(f"/campaigns/{run.campaigns['first']}/report")
    mails = world.mails_of(run.campaigns["first"], after=0)
    distinct = len({mail.message_id for mail in mails})
    least, most = report["accepted"], report["accepted"] + report["uncertain"]
    told = (
        f"run {run.no} is final: planned={report['planned']} accepted={least} skipped={report['skipped']} "
        f"failed={report['failed']} cancelled={report['cancelled']} uncertain={report['uncertain']} inbox={distinct}"
    )
    insist(f"{told}; its inbox must hold from {least} to {most} messages.", holds=least <= distinct <= most)
    insist(f"{told}; somebody got it twice.", holds=len(mails) == len({mail.rcpt_to for mail in mails}) == distinct)
    world.screen.tick(told)
