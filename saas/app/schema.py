"""Imports every models module, so that metadata is complete wherever the whole schema is needed."""

import sqlalchemy as sa

from saas.accounts import models as accounts
from saas.audiences import models as audiences
from saas.audit import models as audit
from saas.campaigns import models as campaigns
from saas.campaigns.desk import models as desk
from saas.channels import models as channels
from saas.http import models as http
from saas.journeys import models as journeys
from saas.ledger import models as ledger
from saas.notices import models as notices
from saas.permissions import models as permissions
from saas.platform.agenda import models as agenda
from saas.platform.db import Base, TenantScoped
from saas.platform.files import models as files
from saas.platform.seal import models as seal
from saas.platform.secrets import models as secrets
from saas.sending import models as sending
from saas.tenants import models as tenants

MODULES = (
    accounts, agenda, audiences, audit, campaigns, channels, desk, files, http, journeys, ledger, notices, permissions,
    seal, secrets, sending, tenants,
)  # fmt: skip

# Tables without a tenant's rows. Each holds ids, words and times, no contact and no content.
GLOBAL_TABLES = {
    "agency": "the customer itself; owns tenants",
    "account": "one person signs in to many workspaces",
    "account_session": "read before a tenant is known",
    "account_device": "read before a tenant is known",
    "account_mail": "links and warnings about an account, whatever its workspaces",
    "sign_in_guard": "counts wrong tries before anybody is known",
    "second_step": "asked for before a tenant is known",
    "recovery_code": "asked for before a tenant is known",
    "api_key": "read to learn which tenant a program belongs to",
    "notice_wish": "a person chooses once for all their workspaces",
    "notice_digest": "a person chooses once for all their workspaces",
    "role_grant": "read to learn which tenants a person may enter",
    "staff_reach": "read to learn which tenants an agency's staff may enter",
    "staff_invitation": "an agency's own people, invited before they enter any tenant",
    "agency_entry": "what was done about an agency's staff; belongs to no tenant",
    "tenant": "registry of tenants; foreign keys and agency ownership",
    "agenda": "workers look for due work of all tenants",
    "tenant_turn": "fairness compares tenants",
    "sender": "one process serves many tenants",
    "seal": "which deployment the whole database belongs to",
}


def tenant_tables() -> tuple[str, ...]:
    """Return the names of all tenant tables, sorted."""
    scoped = (m.persist_selectable for m in Base.registry.mappers if issubclass(m.class_, TenantScoped))
    return tuple(sorted(table.name for table in scoped if isinstance(table, sa.Table)))
