"""A sink that notes when each message was accepted: `python -m bench.servers.recorder <port> <file>`.

One line a message: the recipient, the moment on the machine's monotonic clock, the message's size in bytes.
"""

import socket
import sys
import threading
from pathlib import Path
from typing import Any, Final, TextIO

from saas.kernel.clock import monotonic

_HOST: Final = "127.0.0.1"
_EHLO: Final = b"250-recorder.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n"


def main(port: str, path: str) -> None:
    """Serve until killed."""
    with Path(path).open("w", buffering=1) as notes, socket.create_server((_HOST, int(port))) as server:
        lock = threading.Lock()
        while True:
            line, _ = server.accept()
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_converse, args=(line, notes, lock), daemon=True).start()


def _converse(line: socket.socket, notes: TextIO, lock: threading.Lock) -> None:
    recipient = ""
    with line, line.makefile("rb") as heard:
        line.sendall(b"220 recorder.example ESMTP\r\n")
        for raw in heard:
            word = raw[:4].upper()
            if word == b"DATA":
                line.sendall(b"354 go on\r\n")
                size = _content(heard)
                with lock:
                    notes.write(f"{recipient} {monotonic():.6f} {size}\n")
                line.sendall(b"250 2.0.0 taken\r\n")
            elif word == b"QUIT":
                line.sendall(b"221 bye\r\n")
                return
            else:
                if word == b"RCPT":
                    recipient = raw.partition(b"<")[2].partition(b">")[0].decode()
                line.sendall(_EHLO if word == b"EHLO" else b"250 ok\r\n")


def _content(heard: Any) -> int:
    size = 0
    for raw in heard:
        if raw == b".\r\n":
            return size
        size += len(raw)
    return size


if __name__ == "__main__":
    main(*sys.argv[1:])
