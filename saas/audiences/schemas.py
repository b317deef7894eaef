"""Shapes of the audiences API. What a rule, an address or a value may be is checked in rules, not here."""

from typing import Any, Final

from marshmallow import fields, validate

from saas.audiences.rules.attributes import KEY
from saas.audiences.types import AttributeKind, ImportState, Outcome, Visibility
from saas.http.fields import Id, Moment, Strict, not_blank, without_controls, without_nul
from saas.http.paging import PageArguments

MAX_BATCH: Final = 1000
MAX_MAPPING_CHARS: Final = 100_000
_MAX_LISTS: Final = 20
_NAME: Final[list[Any]] = [validate.Length(1, 200), without_controls, not_blank]
_RULE: Final = {
    "description": "A rule as in docs/rules.md.",
    "example": {"all": [{"consent": "newsletter", "is": "given"}]},
}


class AttributeArguments(Strict):
    """A new attribute."""

    key = fields.String(required=True, validate=validate.Regexp(f"{KEY.pattern}$"))
    label = fields.String(required=True, validate=[validate.Length(1, 100), without_controls, not_blank])
    kind = fields.Enum(AttributeKind, by_value=True, required=True)


class AttributeOut(Strict):
    """An attribute that contacts may have."""

    key = fields.String(required=True)
    label = fields.String(required=True)
    kind = fields.Enum(AttributeKind, by_value=True, required=True)
    built_in = fields.Boolean(required=True)
    created_at = Moment(required=True, allow_none=True)


class ListArguments(Strict):
    """A new list."""

    name = fields.String(required=True, validate=_NAME)
    project_id = Id("prj", required=True)
    description = fields.String(load_default="", validate=[validate.Length(max=2000), without_nul])


class ListChanges(Strict):
    """What may be changed of a list."""

    name = fields.String(validate=_NAME)
    description = fields.String(validate=[validate.Length(max=2000), without_nul])


class ListOut(Strict):
    """A list of contacts."""

    list_id = Id("lst", required=True)
    project_id = Id("prj", required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    member_count = fields.Integer(required=True)
    created_by = Id("acc", required=True, allow_none=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    version = fields.Integer(required=True)


class InProject(PageArguments):
    """A page, of one project if it is named."""

    project_id = Id("prj", load_default=None)


class ContactItem(Strict):
    """A contact of a batch. Whether its values can be used is said for each contact in the answer."""

    email = fields.String(required=True, validate=[validate.Length(max=1000), without_nul])
    external_id = fields.String(allow_none=True, validate=[validate.Length(max=200), without_controls])
    attributes = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True), allow_none=True)
    consents = fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True), allow_none=True)


class BatchArguments(Strict):
    """Up to 1,000 contacts, and the lists to put them on."""

    contacts = fields.List(fields.Nested(ContactItem), required=True, validate=validate.Length(1, MAX_BATCH))
    list_ids = fields.List(Id("lst"), load_default=list, validate=validate.Length(max=_MAX_LISTS))


class ContactFault(Strict):
    """Something that could not be used; the pointer begins at the contact."""

    pointer = fields.String(required=True)
    message = fields.String(required=True)


class BatchResult(Strict):
    """What became of one contact."""

    index = fields.Integer(required=True)
    status = fields.Enum(Outcome, by_value=True, required=True)
    contact_id = Id("ctc", allow_none=True, required=True)
    errors = fields.List(fields.Nested(ContactFault), attribute="faults", required=True)


class BatchOut(Strict):
    """What became of a batch, in its order."""

    results = fields.List(fields.Nested(BatchResult), required=True)


class ContactOut(Strict):
    """A contact."""

    contact_id = Id("ctc", required=True)
    email = fields.String(required=True, allow_none=True)
    external_id = fields.String(required=True, allow_none=True)
    attributes = fields.Dict(required=True)
    consents = fields.Dict(keys=fields.String(), values=fields.String(), required=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    version = fields.Integer(required=True)


class OneContactOut(ContactOut):
    """A contact with the lists it is on."""

    list_ids = fields.List(Id("lst"), required=True)


class ContactQuery(PageArguments):
    """Which contacts to list."""

    list_id = Id("lst", load_default=None)
    email = fields.String(load_default=None, validate=[validate.Length(1, 320), without_nul])


class ImportQuery(Strict):
    """How an upload is to be read. What is left out is found out from the file."""

    list_id = Id("lst", required=True)
    file_name = fields.String(load_default="", validate=[validate.Length(max=200), without_controls])
    encoding = fields.String(load_default=None, validate=validate.Length(1, 40))
    delimiter = fields.String(load_default=None, validate=validate.Length(1, 3))
    mapping = fields.String(
        load_default=None,
        validate=validate.Length(max=MAX_MAPPING_CHARS),
        metadata={"description": 'JSON, e.g. {"E-mail": "email", "Plan": "attribute:plan", "News": "consent:news"}'},
    )


class InList(PageArguments):
    """A page, of one list if it is named."""

    list_id = Id("lst", load_default=None)


class ImportCounts(Strict):
    """rows = invalid + duplicates + contacts; contacts = created + updated + unchanged."""

    rows = fields.Integer(required=True)
    invalid = fields.Integer(required=True)
    duplicates = fields.Integer(required=True)
    contacts = fields.Integer(required=True)
    created = fields.Integer(required=True)
    updated = fields.Integer(required=True)
    unchanged = fields.Integer(required=True)
    kept_withdrawn = fields.Integer(required=True)
    warnings = fields.Integer(required=True)


class ImportColumn(Strict):
    """A column of the file: what it fills, or why it is left out."""

    header = fields.String(required=True)
    target = fields.String(required=True, allow_none=True)
    note = fields.String(required=True)


class ImportOut(Strict):
    """An import. `encoding`, `delimiter` and `columns` are known once the file was looked at."""

    import_id = Id("imp", required=True)
    list_id = Id("lst", required=True)
    file_name = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(list(ImportState)))
    failure = fields.String(required=True, allow_none=True)
    size_bytes = fields.Integer(required=True)
    done_bytes = fields.Integer(required=True)
    counts = fields.Nested(ImportCounts, required=True)
    encoding = fields.String(required=True, allow_none=True)
    delimiter = fields.String(required=True, allow_none=True)
    columns = fields.List(fields.Nested(ImportColumn), required=True)
    has_errors = fields.Boolean(required=True)
    created_by = Id("acc", required=True, allow_none=True)
    created_at = Moment(required=True)
    started_at = Moment(required=True, allow_none=True)
    finished_at = Moment(required=True, allow_none=True)


class AudienceArguments(Strict):
    """A new audience."""

    name = fields.String(required=True, validate=_NAME)
    project_id = Id("prj", required=True)
    list_id = Id("lst", required=True)
    visibility = fields.Enum(Visibility, by_value=True, load_default=Visibility.PUBLIC)
    rule = fields.Raw(required=True, metadata=_RULE)


class AudienceChanges(Strict):
    """What may be changed of an audience."""

    name = fields.String(validate=_NAME)
    list_id = Id("lst")
    visibility = fields.Enum(Visibility, by_value=True)
    rule = fields.Raw(metadata=_RULE)


class AudienceQuery(InProject):
    """Which audiences to list."""

    list_id = Id("lst", load_default=None)


class AudienceOut(Strict):
    """An audience: a rule over the contacts of a list, and how many it found when it was last counted."""

    audience_id = Id("aud", required=True)
    project_id = Id("prj", required=True)
    list_id = Id("lst", required=True)
    name = fields.String(required=True)
    visibility = fields.String(required=True, validate=validate.OneOf(list(Visibility)))
    rule = fields.Raw(required=True, metadata=_RULE)
    created_by = Id("acc", required=True, allow_none=True)
    created_at = Moment(required=True)
    updated_at = Moment(required=True)
    version = fields.Integer(required=True)
    last_count = fields.Integer(required=True, allow_none=True)
    last_count_ms = fields.Integer(required=True, allow_none=True)
    last_counted_at = Moment(required=True, allow_none=True)


class CountArguments(Strict):
    """A rule to count without saving it."""

    list_id = Id("lst", required=True)
    rule = fields.Raw(required=True, metadata=_RULE)


class CountOut(Strict):
    """How many people a rule finds."""

    count = fields.Integer(required=True)
    took_ms = fields.Integer(required=True)
    counted_at = Moment(required=True)
