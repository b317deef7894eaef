"""What flask-smorest cannot know of our routes: who may call them, and the headers that they take (interfaces.md 2)."""

import re
from collections.abc import Mapping
from typing import Any, Final

from flask import Flask
from flask_smorest import Api

from saas.http.types import Declared, Scope

_CONVERTER: Final = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_WORKSPACE: Final = "X-Workspace"
_HEADERS: Final[Mapping[str, str]] = {
    _WORKSPACE: "The workspace (wsp_…) for a person signed in by cookie; a key has its own.",
    "X-CSRF-Token": "The token told at sign-in, on unsafe methods by cookie; a key needs none.",
    "Idempotency-Key": "Any text of up to 255 characters: the same key and request get the same answer for 48 h.",
    "If-Match": "The ETag of what you read; without it 428, with an old one 412.",
}


def describe(api: Api, app: Flask) -> None:
    """Complete the description: security, headers, and what a scope needs."""
    api.spec.components.security_scheme("key", {"type": "http", "scheme": "bearer"})
    api.spec.components.security_scheme("session", {"type": "apiKey", "in": "cookie", "name": "csn"})
    for name, text in _HEADERS.items():
        parameter = {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
        api.spec.components.parameter(name, "header", parameter)
    paths = api.spec.to_dict()["paths"]
    for rule in app.url_map.iter_rules():
        declared = getattr(app.view_functions[rule.endpoint], "declared", None)
        operations = paths.get(_CONVERTER.sub(r"{\1}", rule.rule))
        if declared is not None and operations is not None:
            for method in sorted(rule.methods or ()):
                if method.lower() in operations:
                    _complete(operations[method.lower()], method, declared)


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
        operation["description"] = f"Needs the right `{declared.action.value}`."
