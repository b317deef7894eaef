"""Reads which statements a client sends to PostgreSQL (protocol 3.0, frontend messages)."""

import struct

_COMMIT = (b"COMMIT", b"commit")


class Statements:
    """Feed it what a client sends; it says which SQL is executed, also of statements prepared earlier."""

    def __init__(self) -> None:
        self._waiting = b""
        self._begun = False
        self._prepared: dict[bytes, bytes] = {}

    def feed(self, data: bytes) -> list[bytes]:
        self._waiting += data
        found: list[bytes] = []
        while (message := self._take()) is not None:
            kind, body = message
            if kind == b"Q":
                found.append(body.rstrip(b"\0"))
            elif kind == b"P":
                name, _, rest = body.partition(b"\0")
                self._prepared[name] = rest.partition(b"\0")[0]
            elif kind == b"B":
                name = body.partition(b"\0")[2].partition(b"\0")[0]
                found.append(self._prepared.get(name, b""))
        return found

    def _take(self) -> tuple[bytes, bytes] | None:
        head = 0 if not self._begun else 1  # the first messages (TLS request, startup) have no type
        if len(self._waiting) < head + 4:
            return None
        (length,) = struct.unpack_from(">I", self._waiting, head)
        if len(self._waiting) < head + length:
            return None
        kind, body = self._waiting[:head], self._waiting[head + 4 : head + length]
        self._waiting = self._waiting[head + length :]
        if not self._begun and body[:2] == b"\x00\x03":
            self._begun = True
        return kind, body


def is_commit(sql: bytes) -> bool:
    return sql.strip().rstrip(b";") in _COMMIT
