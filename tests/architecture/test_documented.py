"""What can be set, run and refused has its line in the docs."""

import re

import click

from saas.cli.main import saas
from saas.platform.settings import Settings, fields, variable_names
from tests.architecture.trees import ROOT

PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
ROWS = {
    found["name"]: found for found in re.finditer(
        r"^\| `(?P<name>[A-Z_]+)` \| (?P<meaning>[^|]+) \| (?P<unit>[^|]+) \| (?P<default>[^|]+) \|$", PAGE, re.MULTILINE
    )
}  # fmt: skip


def test_every_setting_is_described_with_unit_and_default():
    assert set(variable_names()) - set(ROWS) == set()
    for row in ROWS.values():
        assert len(row["meaning"].strip()) > 15, row["name"]
        assert row["unit"].strip(), row["name"]


def test_described_defaults_are_the_real_ones():
    for item in fields(Settings):
        if not item.metadata:
            continue
        told = ROWS[item.metadata["name"]]["default"].strip().strip("`")
        default = item.metadata["default"]
        if default is None:
            assert told == "required", item.name
        elif default in ("", ()):
            assert told == "empty", item.name
        elif isinstance(default, bool):
            assert told == ("yes" if default else "no"), item.name
        else:
            assert told == str(default), item.name


def _commands(group: click.Group, words: str = "saas"):
    for command_name, command in sorted(group.commands.items()):
        path = f"{words} {command_name}"
        if isinstance(command, click.Group):
            yield from _commands(command, path)
        else:
            yield path, command


def test_every_command_has_a_sentence_and_its_line():
    found = list(_commands(saas))
    assert len(found) >= 7
    for path, command in found:
        assert command.help, path
        assert f"`{path}" in PAGE, path
