"""A QR code says what it was given: read back module by module, error correction included."""

import functools
import itertools

import pytest

from saas.accounts.rules import new_secret, otpauth_uri
from saas.web.account import qr


def syndromes(block, checks):
    """All zero when a block is a word of the code."""
    found, root = [], 1
    for _ in range(checks):
        value = 0
        for word in block:
            value = qr._times(value, root) ^ word
        found.append(value)
        root = qr._times(root, 2)
    return found


def read(dark, size):
    """Read a symbol as a scanner does after it has found the modules."""
    version = (size - 17) // 4
    bits = functools.reduce(
        lambda found, place: found << 1 | (place in dark),
        [(0, 8), (1, 8), (2, 8), (3, 8), (4, 8), (5, 8), (7, 8), (8, 8), (8, 7), *((8, y) for y in range(5, -1, -1))],
        0,
    )
    kept = (bits ^ 0b101010000010010) >> 10
    assert kept >> 3 == 0b01
    frame = qr._Grid(version)
    qr._draw_patterns(frame)
    text = "".join(str(int(((x, y) in dark) ^ qr._turns(kept & 7, x, y))) for x, y in qr._way(frame))
    words = [int(text[at : at + 8], 2) for at in range(0, len(text) - 7, 8)]
    count, checks, capacity = qr._BLOCKS[version - 1], qr._CHECKS[version - 1], qr._capacity(version)
    short, longer = divmod(capacity, count)
    sizes = [short + (number >= count - longer) for number in range(count)]
    blocks = [[] for _ in range(count)]
    taken = iter(words)
    for at, number in itertools.product(range(max(sizes)), range(count)):
        if at < sizes[number]:
            blocks[number].append(next(taken))
    data = list(itertools.chain(*blocks))
    for _, number in itertools.product(range(checks), range(count)):
        blocks[number].append(next(taken))
    assert all(not any(syndromes(block, checks)) for block in blocks)
    stream = "".join(f"{word:08b}" for word in data)
    counted = 8 if version < 10 else 16
    assert stream[:4] == "0100"
    length = int(stream[4 : 4 + counted], 2)
    body = stream[4 + counted : 4 + counted + 8 * length]
    return bytes(int(body[at : at + 8], 2) for at in range(0, len(body), 8)).decode()


@pytest.mark.parametrize("length", [1, 17, 32, 60, 100, 134, 150, 190, 230, 270, 320, 360, 420, 450, 520])
def test_it_reads_back(length):
    text = ("otpauth://totp/Countersign:bea@northwind.example?" * 20)[:length]
    assert read(*qr.modules(text)) == text


def test_every_address_fits():
    local = "a" * 64
    uri = otpauth_uri(new_secret(), email=f"{local}@{'b' * 60}.{'c' * 60}.{'d' * 60}.example")
    assert read(*qr.modules(uri)) == uri
    with pytest.raises(qr.TooLong):
        qr.modules("x" * 600)


def test_the_path_draws_the_dark_modules():
    dark, size = qr.modules("Countersign")
    drawing = qr.path_of("Countersign")
    assert drawing.size == size + 8
    drawn = set()
    for run in drawing.path.split("M")[1:]:
        place, _, rest = run.partition("h")
        x, y = map(int, place.split())
        drawn |= {(x - 4 + n, y - 4) for n in range(int(rest.partition("v")[0]))}
    assert drawn == dark
