"""`python -m saas.platform.embedded.inbox`: runs the inbox until it is told to stop."""

import asyncio
import json
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Final

import click
import structlog
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from saas.kernel.clock import SystemClock
from saas.platform.embedded.inbox.receiver import GroupCommit, Login, Receiver, protocol
from saas.platform.embedded.inbox.store import Store
from saas.platform.embedded.inbox.types import InboxError
from saas.platform.embedded.inbox.web import create_inbox

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 512


class _Quiet(WSGIRequestHandler):
    """Answers without a line of log for each request."""

    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@click.command()
@click.option("--smtp-port", type=click.IntRange(0, 65535), default=8026, show_default=True, help="0: any free port.")
@click.option("--web-port", type=click.IntRange(0, 65535), default=8025, show_default=True, help="0: any free port.")
@click.option("--dir", "directory", type=click.Path(path_type=Path, file_okay=False), default=Path(".data/inbox"))
@click.option("--user", help="Clients must sign in with this name (AUTH PLAIN or LOGIN).")
@click.option("--password", help="The password that goes with --user.")
def main(*, smtp_port: int, web_port: int, directory: Path, user: str | None, password: str | None) -> None:
    """Receive mail on 127.0.0.1, keep it in a folder, and show it in a browser and by an API.

    The first line of output is JSON with the ports that are used.
    """
    if (user is None) != (password is None):
        msg = "--user and --password go together."
        raise click.UsageError(msg)
    # The output's one line belongs to the ports.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    login = Login(user, password) if user is not None and password is not None else None
    try:
        with _listener(smtp_port) as smtp, _listener(web_port) as web:
            asyncio.run(_serve(smtp, web, directory=directory, login=login))
    except (InboxError, OSError) as error:
        raise click.ClickException(str(error)) from error


async def _serve(smtp: socket.socket, web: socket.socket, *, directory: Path, login: Login | None) -> None:
    told_to_stop = asyncio.Event()
    for by in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(by, told_to_stop.set)
    store = Store(directory)
    commit = GroupCommit(store)
    receiver = Receiver(commit, clock=SystemClock())
    server = await asyncio.get_running_loop().create_server(
        protocol(receiver, login=login), sock=smtp, backlog=_BACKLOG
    )
    pages = make_server(_HOST, _port(web), create_inbox(store), threaded=True, request_handler=_Quiet, fd=web.fileno())
    thread = _in_thread(pages)
    click.echo(json.dumps({"smtp_port": _port(smtp), "web_port": _port(web), "dir": str(directory)}))
    await told_to_stop.wait()
    server.close()
    await commit.finish()
    pages.shutdown()
    thread.join()
    pages.server_close()
    store.close()


def _in_thread(pages: BaseWSGIServer) -> threading.Thread:
    thread = threading.Thread(target=pages.serve_forever, kwargs={"poll_interval": 0.05}, name="inbox-web", daemon=True)
    thread.start()
    return thread


def _listener(port: int) -> socket.socket:
    """Return a bound socket; taken ports are told here, before anything else happens."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        msg = f"Port {port} on {_HOST} cannot be used: {error.strerror}."
        raise InboxError(msg) from error
    return listener


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
