"""The invariants of reliability.md 4.2, checked after each fault from ledger, sink, journals and audit."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from saas.audit.queries import verify
from saas.kernel.ids import show
from saas.platform.db import bind
from tests.faults.rig.books import Person
from tests.faults.rig.relay import Kept
from tests.faults.rig.scene import Side, campaign_uuid
from tests.faults.rig.stage import Refusal, Stage

SENDING_S = 1.0  # after the answer to a stop or an opt-out, on each connection (ledger.md, stop)
MEANS = {
    "I1": "marketing: at most one copy",
    "I2": "all final within the bound",
    "I3": "accepted in the sink; sink in accepted + uncertain",
    "I4": "uncertain <= in flight at the kills",
    "I5": "transactional: at least one copy or a reason; copies - 1 <= crashes; one Message-ID",
    "I6": "stop and unsubscribe promise",
    "I7": "sent content is what was approved",
    "I8": "only the own tenant's canary, through its channel",
    "I9": "the numbers balance at every look",
    "I10": "the audit chain verifies, one entry a transition",
    "I11": "rates and quotas kept",
    "I12": "tenant B: no anomalies, at least 70 % of its pace",
    "I13": "no secrets in logs",
}
_ONCE = ("campaign.started", "campaign.completed", "campaign.stopped", "campaign.stopping")


@dataclass
class Verdict:
    """What was found, by invariant; an invariant that a fault cannot judge is missing."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def judge(self, name: str, problems: list[str]) -> None:
        self.found.setdefault(name, []).extend(problems)

    @property
    def broken(self) -> dict[str, list[str]]:
        return {name: problems for name, problems in self.found.items() if problems}


def check(stage: Stage, *, baseline: float | None) -> Verdict:
    """Look at everything that is left of a stage whose faults have ended. Call it while its database still stands."""
    verdict = Verdict()
    kept = stage.sink.kept()
    by_campaign: dict[str, list[Kept]] = defaultdict(list)
    for each in kept:
        by_campaign[each.cam].append(each)
    verdict.judge("I2", stage.facts.late)
    uncertain = 0
    for side in stage.sides:
        marketing, calls = stage.books.people(side, side.marketing), stage.books.people(side, side.transactional)
        uncertain += sum(p.state == "uncertain" for p in marketing)
        _marketing(verdict, side, marketing, by_campaign[side.marketing])
        _transactional(verdict, stage, side, calls, by_campaign[side.transactional])
        verdict.judge("I2", _nowhere(side, [*marketing, *calls]))
        verdict.judge("I2", _everybody(stage, side, len(marketing), len(calls)))
    if stage.facts.restored:
        for name in ("I3", "I4", "I5", "I9"):
            verdict.found.pop(name, None)
    if stage.facts.restored:
        uncertain = 0
    bound = stage.facts.in_flight + stage.facts.unanswered
    verdict.judge("I4", [f"{uncertain} uncertain, {bound} were in flight"] if uncertain > bound else [])
    verdict.judge("I6", [line for refusal in stage.facts.refusals for line in _refused(refusal, stage, kept)])
    _content(verdict, stage, kept)
    looker = stage.looker
    verdict.judge("I9", looker.findings[:3] + ([] if looker.looks else ["nobody looked"]))
    verdict.judge("I10", _audit(stage))
    for port, rate in stage.facts.rates.items():
        verdict.judge("I11", _too_fast([k.at for k in kept if k.port == port], rate))
    _neighbour(verdict, stage, kept, baseline)
    logs = stage.crew.logs()
    verdict.judge(
        "I13", [f"{name}: {word[:6]}…" for name, text in logs.items() for word in stage.secrets() if word in text]
    )
    return verdict


def _marketing(verdict: Verdict, side: Side, people: list[Person], kept: list[Kept]) -> None:
    copies = Counter(each.rcpt for each in kept)
    answered = {each.rcpt for each in kept}
    verdict.judge("I1", [f"{side.name}: {rcpt} got {count}" for rcpt, count in copies.items() if count > 1][:5])
    accepted = {p.email for p in people if p.state == "accepted"}
    known = accepted | {p.email for p in people if p.state == "uncertain"}
    missing, unknown = accepted - answered, answered - known
    problems = [f"{side.name}: {len(missing)} accepted and never sent, as {min(missing)}"] if missing else []
    problems += (
        [f"{side.name}: {len(unknown)} sent and not known as sent, as {_tell(unknown, people)}"] if unknown else []
    )
    verdict.judge("I3", problems)


def _tell(emails: set[str], people: list[Person]) -> str:
    one = min(emails)
    return next((f"{one} ({p.state} {p.reason})" for p in people if p.email == one), f"{one} (no row)")


def _transactional(verdict: Verdict, stage: Stage, side: Side, people: list[Person], kept: list[Kept]) -> None:
    copies = Counter(each.rcpt for each in kept)
    ids: dict[str, set[str]] = defaultdict(set)
    for each in kept:
        ids[each.rcpt].add(each.mid)
    crashes = stage.facts.kills + stage.facts.cuts
    problems = []
    for person in people:
        count = copies[person.email]
        if person.state == "accepted" and not count:
            problems.append(f"{side.name}: {person.email} accepted and never sent")
        if person.state not in {"accepted", "open"} and not count and not person.reason and person.state != "cancelled":
            problems.append(f"{side.name}: {person.email} {person.state} without a reason")
        if person.email not in stage.facts.called_again and count - 1 > crashes + (stage.facts.unanswered and 4):
            problems.append(f"{side.name}: {person.email} got {count} copies after {crashes} crashes")
    problems += [
        f"{side.name}: {rcpt} got {len(found)} Message-IDs"
        for rcpt, found in ids.items()
        if len(found) > 1 and rcpt not in stage.facts.called_again
    ]
    verdict.judge("I5", problems[:5])
    extra = sum(count - 1 for rcpt, count in copies.items() if rcpt not in stage.facts.called_again)
    allowed = stage.facts.in_flight + stage.facts.unanswered * 5 + stage.facts.cuts * len(people)
    verdict.judge("I5", [f"{side.name}: {extra} extra copies, {allowed} were in flight"] if extra > allowed else [])


def _nowhere(side: Side, people: list[Person]) -> list[str]:
    found = [f"{side.name}: {p.email} is lost ({p.reason or 'in no chunk'})" for p in people if p.state == "lost"]
    return (found + [f"{side.name}: {p.email} stands in {p.in_chunks} open chunks" for p in people if p.in_chunks > 1])[
        :5
    ]


def _everybody(stage: Stage, side: Side, marketing: int, calls: int) -> list[str]:
    """Whoever should have entered did: the whole list, and everybody whose call was answered."""
    found = []
    state = stage.books.one(
        "SELECT state FROM campaign WHERE campaign_id = %s AND kind = 'dated'", campaign_uuid(side.marketing)
    )
    if state == "completed" and marketing != len(side.people):
        found.append(f"{side.name}: {marketing} of {len(side.people)} people entered")
    answered = [shop for shop in stage.shops if shop.side is side and not shop.ending.is_set() and not shop.refused]
    if answered and calls < len(side.people):
        found.append(f"{side.name}: {calls} entries for {len(side.people)} answered calls")
    return found


def _refused(refusal: Refusal, stage: Stage, kept: list[Kept]) -> list[str]:
    mine = [k for k in kept if k.cam == refusal.campaign and refusal.address in {"", k.rcpt}]
    late = [k for k in mine if k.at > refusal.at + SENDING_S]
    found = []
    connections = max(1, len({k.conn for k in mine if k.at > refusal.at - 5}))
    if len(late) > (0 if refusal.address else connections):
        worst = max(k.at - refusal.at for k in late)
        found.append(
            f"{refusal.side.name}: {len(late)} messages up to {worst:.2f} s after the answer to {refusal.address or 'a stop'}"
        )
    after = [k for k in mine if refusal.stopped_at and k.at > refusal.stopped_at]
    return [*found, f"{len(after)} messages after stopped"] if after else found


def _content(verdict: Verdict, stage: Stage, kept: list[Kept]) -> None:
    for side in stage.sides:
        mine = [k for k in kept if k.port == side.port]
        wordings = {word for k in mine for word in k.wording} - stage_wordings(stage, side)
        campaigns = {k.cam for k in mine} - known_campaigns(stage, side)
        foreign = [k.rcpt for k in mine if k.canaries != (side.canary,) or not k.rcpt.startswith(side.name)]
        verdict.judge("I7", [f"{side.name}: {sorted(wordings)} was never approved"] if wordings else [])
        verdict.judge("I8", [f"{side.name}: {len(foreign)} with another canary, as {foreign[0]}"] if foreign else [])
        verdict.judge("I8", [f"{side.name}: campaigns of another tenant: {campaigns}"] if campaigns else [])
    broken = stage.books.one(
        "SELECT count(*) FROM run r JOIN revision v ON v.tenant_id = r.tenant_id AND v.campaign_id = r.campaign_id"
        " AND v.no = r.revision_no WHERE 'v1:' || encode(sha256(v.document), 'hex') <> r.content_hash"
    )
    verdict.judge("I7", [f"{broken} runs of another hash"] if broken else [])


def stage_wordings(stage: Stage, side: Side) -> set[str]:
    """The wordings in documents that somebody approved."""
    rows = stage.books.all(
        "SELECT v.document FROM revision v JOIN approval a ON a.tenant_id = v.tenant_id AND a.campaign_id = v.campaign_id"
        " AND a.revision_no = v.no AND a.decision = 'approve' WHERE v.tenant_id = %s", side.place.tenant_id,
    )  # fmt: skip
    text = b" ".join(bytes(row[0]) for row in rows if row[0])
    return {
        f"WORDING-{side.name}{number}" for number in range(1, 50) if f"WORDING-{side.name}{number}".encode() in text
    }


def known_campaigns(stage: Stage, side: Side) -> set[str]:
    return {
        show("cam", row[0])
        for row in stage.books.all("SELECT campaign_id FROM campaign WHERE tenant_id = %s", side.place.tenant_id)
    }


def _audit(stage: Stage) -> list[str]:
    engine = create_engine(stage.cluster.direct(stage.database), isolation_level="REPEATABLE READ")
    problems = []
    try:
        for side in stage.sides:
            with Session(engine) as session:
                bind(session, side.place.tenant_id)
                broken = verify(session)
            problems += [f"{side.name}: {broken}"] if broken else []
    finally:
        engine.dispose()
    rows = stage.books.all(
        "SELECT subject, action, count(*) FROM audit_entry WHERE action = ANY(%s) GROUP BY 1, 2", list(_ONCE)
    )
    return problems + [f"{subject}: {count} x {action}" for subject, action, count in rows if count > 1]


def _too_fast(times: list[float], rate: int) -> list[str]:
    """At most `rate` in any minute; shorter windows may burst by one chunk of five seconds."""
    times = sorted(times)
    allowed = rate + max(1, rate * 5 // 60)
    worst = max((sum(start <= at < start + 60 for at in times) for start in times), default=0)
    return [f"{worst} messages within a minute, {rate} are allowed"] if worst > allowed else []


def pace(kept: list[Kept], port: int) -> float:
    """Messages a second of a tenant, between its tenth and its last but tenth."""
    times = sorted(k.at for k in kept if k.port == port)
    cut = times[10:-10]
    return len(cut) / max(0.05, cut[-1] - cut[0]) if len(cut) > 20 else 0.0


def _neighbour(verdict: Verdict, stage: Stage, kept: list[Kept], baseline: float | None) -> None:
    """Tenant B is never the aim: whoever is not accepted there was in flight at a kill."""
    side = stage.b
    if "b" in stage.facts.slower and baseline:
        now = pace(kept, side.port)
        verdict.judge(
            "I12", [f"b sends {now:.0f}/s instead of {baseline:.0f}/s"] if now and now < 0.7 * baseline else []
        )
    others = [p for p in stage.books.people(side, side.marketing) if p.state in {"failed", "skipped", "cancelled"}]
    refused = {r.campaign for r in stage.facts.refusals}
    spared = {r.address for r in stage.facts.refusals}
    odd = [p for p in others if side.marketing not in refused and p.email not in spared]
    verdict.judge("I12", [f"b: {odd[0].email} {odd[0].state} {odd[0].reason} and {len(odd) - 1} more"] if odd else [])
