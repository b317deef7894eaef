"""Shapes of categories, copies and templates."""

from collections.abc import Callable
from typing import Any, Final

from marshmallow import ValidationError, fields, validate, validates_schema

from saas.campaigns.rules.references import KEYS
from saas.campaigns.schemas.campaigns import CampaignOut, Draft
from saas.campaigns.schemas.policies import TAG
from saas.campaigns.service.templates import FORMAT
from saas.campaigns.types import CampaignKind, Tone
from saas.channels.types import Purpose
from saas.http.fields import Id, Moment, Strict, not_blank, without_controls, without_nul

_NAME: Final[list[Callable[[str], object]]] = [validate.Length(1, 200), without_controls, not_blank]
_WORD: Final[list[Callable[[str], object]]] = [validate.Length(1, 60), without_controls, not_blank]
_LONG: Final[list[Callable[[str], object]]] = [validate.Length(max=2000), without_nul]
_CALLED: Final[list[Callable[[str], object]]] = [validate.Length(1, 300), without_nul]
_ID: Final = validate.Regexp(
    rf"^({'|'.join(KEYS.values())})_[0-9a-hjkmnp-tv-z]{{26}}$", error="Not an id that drafts hold."
)
_MOST_REFERENCES: Final = 2000


class CategoryIn(Strict):
    """A new category."""

    name = fields.String(required=True, validate=_WORD)
    tone = fields.Enum(Tone, by_value=True, load_default=Tone.SLATE)


class Tagging(Strict):
    """One more tag of campaigns."""

    tag = fields.String(required=True, validate=TAG)


class CategoryPatch(Strict):
    """Changes to a category. Archived, it stays on campaigns and is not offered any more."""

    name = fields.String(validate=_WORD)
    tone = fields.Enum(Tone, by_value=True)
    archived = fields.Boolean()


class CategoryOut(Strict):
    """A category."""

    category_id = Id("cat", required=True)
    name = fields.String(required=True)
    tone = fields.String(required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    archived_at = Moment(required=True, allow_none=True)
    version = fields.Integer(required=True)


class DuplicateIn(Strict):
    """A copy of a campaign; without a name it is called “Copy of …”, without a project it stays in its own."""

    name = fields.String(load_default=None, allow_none=True, validate=_NAME)
    project_id = Id("prj", load_default=None, allow_none=True)


class LeftEmptyOut(Strict):
    """A place of a draft that was left empty, since what it named is not here. name: as far as it is known."""

    pointer = fields.String(required=True)
    id = fields.String(required=True)
    name = fields.String(required=True, allow_none=True)


class CampaignMadeOut(CampaignOut):
    """A campaign that was made; of one with a template, what of that had to be left empty."""

    left_empty = fields.List(fields.Nested(LeftEmptyOut))


class TemplateIn(Strict):
    """What a campaign's draft is kept as."""

    name = fields.String(required=True, validate=_NAME)
    description = fields.String(load_default="", validate=_LONG)


class TemplatePatch(Strict):
    """Changes to the words about a template."""

    name = fields.String(validate=_NAME)
    description = fields.String(validate=_LONG)


class TemplateBrief(Strict):
    """A template."""

    template_id = Id("cpt", required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    kind = fields.String(required=True)
    purpose = fields.String(required=True)
    made_by = Id("acc", required=True, allow_none=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    version = fields.Integer(required=True)


class TemplateOut(TemplateBrief):
    """A template with its draft as you can use it here, and what had to be left empty."""

    draft = fields.Dict(required=True)
    left_empty = fields.List(fields.Nested(LeftEmptyOut), required=True)


class NamedReference(Strict):
    """What an id of the draft is called where the file comes from."""

    id = fields.String(required=True, validate=_ID, metadata={"example": "lst_01h00000000000000000000000"})
    name = fields.String(required=True, validate=_CALLED)


class TemplateFile(Strict):
    """A template as a file. format: the version of this shape."""

    format = fields.Integer(
        required=True, strict=True, validate=validate.OneOf((FORMAT,), error=f"Files of format {FORMAT} can be read.")
    )
    name = fields.String(required=True, validate=_NAME)
    description = fields.String(load_default="", validate=_LONG)
    kind = fields.Enum(CampaignKind, by_value=True, required=True)
    purpose = fields.Enum(Purpose, by_value=True, required=True)
    draft = fields.Nested(Draft, required=True)
    references = fields.List(
        fields.Nested(NamedReference), load_default=list, validate=validate.Length(max=_MOST_REFERENCES)
    )

    @validates_schema
    def _each_once(self, data: dict[str, Any], **_: Any) -> None:
        ids = [one["id"] for one in data.get("references", [])]
        twice = {at: {"id": ["This id has a name already."]} for at, text in enumerate(ids) if text in ids[:at]}
        if twice:
            raise ValidationError({"references": twice})
