"""Let a draft start otherwise, from its page (S35, S48)."""

from flask import Response, request
from flask_babel import gettext

from saas.campaigns.rules.lifecycle import NotAllowed
from saas.campaigns.schemas.campaigns import KindOfStartIn
from saas.campaigns.service import starts
from saas.campaigns.types import CampaignKind, CampaignState
from saas.channels.types import Purpose
from saas.http.types import Context
from saas.kernel.errors import Invalid
from saas.web import forms
from saas.web.campaigns.found import Found
from saas.web.shell import go


def switch(context: Context, found: Found) -> Response:
    """Switch as the form says, and go back to the draft with a sentence."""
    loaded = forms.load(KindOfStartIn(), {"kind": request.form.get("starts_as", "")})
    if loaded.errors:
        return go("web_draft.edit", campaign_id=found.id, text=" ".join(loaded.errors.values()), kind="error")
    try:
        starts.switch_start(
            context.session, actor=context.actor, campaign_id=found.campaign.campaign_id, now=context.now, **loaded.body
        )
    except (Invalid, NotAllowed) as error:
        return go("web_draft.edit", campaign_id=found.id, text=error.detail, kind="error")
    text = gettext("It starts otherwise now. What had no place any more was emptied; see the checks.")
    return go("web_draft.edit", campaign_id=found.id, text=text)


def other_starts(found: Found) -> list[tuple[str, str]]:
    """Return how else it could start; nothing once it was published (S35, S48)."""
    if found.campaign.state != CampaignState.DRAFT:
        return []
    texts = {
        CampaignKind.DATED: gettext("At a time you choose"),
        CampaignKind.API: gettext("On call, for single people"),
        CampaignKind.FLOWING: gettext("As people come"),
    }
    marketing = found.campaign.purpose == Purpose.MARKETING
    kinds = [kind for kind in texts if kind != found.campaign.kind and (marketing or kind is not CampaignKind.DATED)]
    return [(kind.value, texts[kind]) for kind in kinds]
