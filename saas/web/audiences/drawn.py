"""The rows of the rule builder as templates draw them, wherever a rule is written."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext

from saas.audiences.types import Known
from saas.web.audiences import rule_form, words
from saas.web.audiences.rule_form import Row


def drawn_rows(rows: Sequence[Row], errors: Mapping[int, str], *, known: Mapping[str, Known]) -> list[dict[str, Any]]:
    """Return for each row what can be chosen in it, and what is wrong with it."""
    kinds = {key: item.kind for key, item in known.items()}
    subjects = [("consent", gettext("Consent"))]
    subjects += [(f"attribute:{key}", item.label) for key, item in known.items()]
    return [
        {
            "no": no,
            "row": row,
            "kind": "consent" if row.subject == rule_form.CONSENT else str(kinds.get(row.key, "")),
            "subjects": subjects if row.empty or row.subject in dict(subjects) else [*subjects, (row.subject, row.key)],
            "ops": [(op, words.OPS[op]) for op in rule_form.ops_for(row, kinds)],
            "takes_value": rule_form.takes_value(row),
            "error": errors.get(no),
        }
        for no, row in enumerate(rows)
    ]
