"""The rungs of the ladder: the product's sender with parts of its claim left out, to see what each part costs.

This is the one place that reaches into the product. Every rung runs the product's worker under RQ; a lower rung leaves
out conditions before the claim's statement is put together, drops an index, or signs in as a role that row-level
security does not bind. The gate itself (campaign, revision, approval, channel, the insert) stays on every rung.
"""

from dataclasses import dataclass
from typing import Final

# Never true, and names both values that the claim binds.
_NOBODY: Final = "CASE WHEN :marketing AND CAST(:topic AS text) IS NULL THEN 'no_consent' END"


@dataclass(frozen=True, slots=True)
class Rung:
    """What a rung has. The frequency cap is the campaign's: it is looked up in the index, so it comes after it."""

    name: str
    security: bool = True
    consent: bool = True
    caps: bool = False
    index: bool = True
    tls: bool = False

    @property
    def whole(self) -> bool:
        """Whether the product runs untouched, by its own worker.py."""
        return self.security and self.consent


RUNGS: Final = (
    Rung("bare", security=False, consent=False, index=False),
    Rung("+ row-level security", consent=False, index=False),
    Rung("+ consent and suppression", index=False),
    Rung("+ contact index: the product as it is"),
    Rung("+ frequency cap", caps=True),
    Rung("+ TLS", caps=True, tls=True),
)


def leave_out(rung: Rung) -> None:
    """Prepare this process for a rung. Call it before anything of saas.sending or saas.app is imported."""
    from saas.ledger.queries import reach  # noqa: PLC0415  the claim's statement is put together when it is imported

    if not rung.consent:
        vars(reach)["SKIP_REASON"] = _NOBODY
        vars(reach)["SKIP_JOINS"] = ""
    if not rung.security:
        from saas.app import workers  # noqa: PLC0415  as above

        vars(workers)["check_database_role"] = lambda _app: None


def leave_out_wire() -> None:
    """Have every message accepted unseen, for the measure of the ledger alone: nothing is rendered or sent."""
    from bench.ladder.no_wire import open_nothing  # noqa: PLC0415  as above
    from saas.sending.service import lines  # noqa: PLC0415  as above

    vars(lines)["open_adapter"] = open_nothing
