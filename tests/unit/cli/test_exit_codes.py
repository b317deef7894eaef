"""What a command says and answers when it is refused."""

import click
import pytest
import sqlalchemy as sa

from saas.cli.main import saas
from saas.cli.shell import EXIT, run
from saas.kernel.errors import Conflict, Forbidden, Invalid, Kind, NotFound, Unauthenticated, Unavailable
from saas.platform.settings import BadSetting


def command_that_raises(error: BaseException) -> click.Group:
    @click.command()
    def go() -> None:
        raise error

    return click.Group("saas", commands=[go])


@pytest.fixture
def call(monkeypatch):
    def called(group: click.Group, *words: str) -> int:
        monkeypatch.setattr("sys.argv", ["saas", *words])
        return run(group)

    return called


def test_every_kind_has_a_code():
    assert set(EXIT) == set(Kind)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Invalid.at("/name", "A list needs a name."), 2),
        (BadSetting("SECRET_KEY: not set"), 2),
        (Unauthenticated("Sign in."), 3),
        (Forbidden("Not you."), 3),
        (NotFound.of("list"), 4),
        (Conflict("Already sent."), 5),
        (Unavailable("Redis does not answer."), 6),
        (sa.exc.OperationalError("SELECT 1", {}, Exception("connection refused\nsecond line")), 6),
    ],
)
def test_a_refusal_is_one_line_without_a_traceback(call, capsys, error, code):
    assert call(command_that_raises(error), "go") == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("saas: ")
    assert "Traceback" not in err and "second line" not in err


def test_faults_are_told_with_their_places(call, capsys):
    call(command_that_raises(Invalid.at("/name", "A list needs a name.")), "go")
    assert "/name: A list needs a name." in capsys.readouterr().err


def test_an_error_of_ours_leaves_its_trace_in_the_log(call, capsys):
    assert call(command_that_raises(ZeroDivisionError("seven")), "go") == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "ZeroDivisionError" in err
    assert err.splitlines()[-1].startswith("saas: An error of ours: ZeroDivisionError")


def test_wrong_words(call, capsys):
    assert call(saas, "no-such-thing") == 2
    assert "No such command" in capsys.readouterr().err


def test_ctrl_c(call):
    assert call(command_that_raises(KeyboardInterrupt()), "go") == 130


def test_a_commands_own_exit_code(call):
    @click.command()
    @click.pass_context
    def go(context: click.Context) -> None:
        context.exit(3)

    assert call(click.Group("saas", commands=[go]), "go") == 3
    assert call(saas, "--help") == 0
