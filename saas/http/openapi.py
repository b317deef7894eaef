"""What flask-smorest cannot know of our routes: who may call them, and the headers that they take (interfaces.md 2)."""

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Flask
from flask_smorest import Api

from saas.http.types import Declared, Scope

_CONVERTER: Final = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_WORKSPACE: Final = "X-Workspace"
# Refusals by status: the name of their response, and what they mean. `code` in the answer says which rule it was.
_REFUSALS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("UNREADABLE", "The body is not JSON that can be read."),
    401: ("NOBODY", "Nobody is signed in, or the key counts no more."),
    403: ("NO_RIGHT", "The caller lacks the right; the answer says who has it."),
    404: ("NOT_THERE", "There is nothing of this name in this workspace."),
    409: ("NOT_NOW", "The state does not allow it, or somebody was quicker; `code` says which."),
    412: ("STALE", "It was changed since it was read; read it again."),
    415: ("OTHER_TYPE", "The body came as something else than what is taken here."),
    428: ("NO_VERSION", "Send the ETag of what was read as If-Match."),
}
_HEADERS: Final[Mapping[str, str]] = {
    _WORKSPACE: "The workspace (wsp_…) for a person signed in by cookie; a key has its own.",
    "X-CSRF-Token": "The token told at sign-in, on unsafe methods by cookie; a key needs none.",
    "Idempotency-Key": "Any text of up to 255 characters: the same key and request get the same answer for 48 h.",
    "If-Match": "The ETag of what you read; without it 428, with an old one 412.",
}


def describe(api: Api, app: Flask, *, examples: Mapping[str, Any]) -> None:
    """Complete the description: security, headers, what a scope needs, refusals; examples of bodies by endpoint."""
    api.spec.components.security_scheme("key", {"type": "http", "scheme": "bearer"})
    api.spec.components.security_scheme("session", {"type": "apiKey", "in": "cookie", "name": "csn"})
    for name, text in _HEADERS.items():
        parameter = {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
        api.spec.components.parameter(name, "header", parameter)
    for name, text in _REFUSALS.values():
        content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOut"}}}
        api.spec.components.response(name, {"description": text, "content": content})
    described = api.spec.to_dict()
    _as_everybody_reads(described)
    paths = described["paths"]
    for rule in app.url_map.iter_rules():
        declared = getattr(app.view_functions[rule.endpoint], "declared", None)
        operations = paths.get(_CONVERTER.sub(r"{\1}", rule.rule), {})
        for method in sorted(rule.methods or ()):
            operation = operations.get(method.lower())
            if declared is not None and operation is not None:
                _complete(operation, method, declared)
                _refuse(operation, method, declared, names_something=bool(rule.arguments))
                _exemplify(operation, examples.get(rule.endpoint))


def _as_everybody_reads(part: Any) -> None:
    """Write patterns as JSON Schema has them (ECMA-262): other marks for where a text begins and ends."""
    if isinstance(part, dict):
        if isinstance(part.get("pattern"), str):
            part["pattern"] = part["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
        for each in part.values():
            _as_everybody_reads(each)
    elif isinstance(part, list):
        for each in part:
            _as_everybody_reads(each)


def _complete(operation: dict[str, Any], method: str, declared: Declared) -> None:
    public = declared.scope in {Scope.PUBLIC, Scope.PUBLIC_FORM}
    tenant = declared.scope is Scope.TENANT
    operation["security"] = [] if public else [{"session": []}, *([{"key": []}] if tenant else [])]
    wanted = {
        _WORKSPACE: tenant,
        "X-CSRF-Token": method not in {"GET", "HEAD"} and not public,
        "Idempotency-Key": method == "POST" and tenant,
        "If-Match": method in {"PATCH", "PUT", "DELETE"} and tenant,
    }
    given = operation.setdefault("parameters", [])
    given += [{"$ref": f"#/components/parameters/{name}"} for name, wants in wanted.items() if wants]
    if declared.action is not None:
        said = operation.get("description", "")
        operation["description"] = f"{said}\n\nNeeds the right `{declared.action.value}`.".lstrip()


def _refuse(operation: dict[str, Any], method: str, declared: Declared, *, names_something: bool) -> None:
    """List the refusals that a route may answer with; what a body may be refused for stands at 422."""
    public = declared.scope in {Scope.PUBLIC, Scope.PUBLIC_FORM}
    changes, tenant = method not in {"GET", "HEAD"}, declared.scope is Scope.TENANT
    may = {
        400: "requestBody" in operation,
        401: not public,
        403: declared.action is not None,
        404: names_something or tenant,
        409: changes and tenant,
        412: changes and tenant and method != "POST",
        415: "requestBody" in operation,
        428: changes and tenant and method != "POST",
    }
    responses = operation["responses"]
    for status, wanted in may.items():
        if wanted:
            responses.setdefault(str(status), {"$ref": f"#/components/responses/{_REFUSALS[status][0]}"})


def _exemplify(operation: dict[str, Any], example: Any) -> None:
    """Show a body; of one that is empty, that."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if example is not None:
            content["example"] = example
        elif content.get("schema", {}).get("$ref", "").endswith("/Nothing"):
            content["example"] = {}
