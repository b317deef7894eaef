"""A QR code (ISO/IEC 18004, byte mode, error correction L) as the path of an SVG.

Only what an authenticator app's URI needs: versions 1 to 15, up to 520 bytes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import Final

QUIET: Final = 4
# Error correction codewords of a block, and number of blocks, by version.
_CHECKS: Final = (7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22)
_BLOCKS: Final = (1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6)
_FORMAT_MASK: Final = 0b101010000010010
_LEVEL_L: Final = 0b01


class TooLong(ValueError):
    """The text does not fit."""


@dataclass(slots=True)
class _Grid:
    """The modules of a symbol: dark ones, and those that hold no data."""

    version: int
    dark: set[tuple[int, int]] = field(default_factory=set)
    fixed: set[tuple[int, int]] = field(default_factory=set)

    @property
    def size(self) -> int:
        return 17 + 4 * self.version

    def put(self, x: int, y: int, *, on: bool) -> None:
        """Set a module that holds no data."""
        self.fixed.add((x, y))
        if on:
            self.dark.add((x, y))
        else:
            self.dark.discard((x, y))


@dataclass(frozen=True, slots=True)
class Drawing:
    """A symbol with its quiet zone: so many units wide and high, and the path of its dark modules."""

    size: int
    path: str


def path_of(text: str) -> Drawing:
    """Return a QR code. Raises TooLong."""
    dark, size = modules(text)
    runs = (
        f"M{x + QUIET} {y + QUIET}h{length}v1h-{length}z" for y in range(size) for x, length in _runs(dark, y, size)
    )
    return Drawing(size + 2 * QUIET, "".join(runs))


def modules(text: str) -> tuple[frozenset[tuple[int, int]], int]:
    """Return the dark modules (column, row) of a symbol, and how many modules a side has. Raises TooLong."""
    data = text.encode()
    version = _version(len(data))
    grid = _Grid(version)
    _draw_patterns(grid)
    _draw_data(grid, _codewords(data, version))
    best = min((_masked(grid, mask) for mask in range(8)), key=lambda dark: _penalty(dark, grid.size))
    return frozenset(best), grid.size


def _runs(dark: frozenset[tuple[int, int]], y: int, size: int) -> Iterator[tuple[int, int]]:
    start = None
    for x in range(size + 1):
        if (x, y) in dark:
            start = x if start is None else start
        elif start is not None:
            yield start, x - start
            start = None


def _raw_bits(version: int) -> int:
    """Return how many modules of a version hold data and error correction."""
    aligned = version // 7 + 2 if version > 1 else 0
    found = (16 * version + 128) * version + 64
    if aligned:
        found -= (25 * aligned - 10) * aligned - 55
    return found - (36 if version >= 7 else 0)


def _capacity(version: int) -> int:
    """Return how many data codewords a version has."""
    return _raw_bits(version) // 8 - _CHECKS[version - 1] * _BLOCKS[version - 1]


def _version(length: int) -> int:
    for version in range(1, len(_CHECKS) + 1):
        if length + (2 if version < 10 else 3) <= _capacity(version):
            return version
    raise TooLong


def _codewords(data: bytes, version: int) -> bytes:
    """Return data and error correction, interleaved by blocks."""
    counted = 8 if version < 10 else 16
    bits = f"0100{len(data):0{counted}b}" + "".join(f"{byte:08b}" for byte in data)
    room = _capacity(version) * 8
    bits += "0" * min(4, room - len(bits))
    bits += "0" * (-len(bits) % 8)
    words = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    words += [(0xEC, 0x11)[n % 2] for n in range(_capacity(version) - len(words))]
    count, checks = _BLOCKS[version - 1], _CHECKS[version - 1]
    short, longer = divmod(len(words), count)
    blocks, at = [], 0
    for number in range(count):
        size = short + (1 if number >= count - longer else 0)
        blocks.append(words[at : at + size])
        at += size
    corrections = [_remainder(block, checks) for block in blocks]
    return bytes([*_interleaved(blocks), *_interleaved(corrections)])


def _interleaved(blocks: Sequence[Sequence[int]]) -> Iterator[int]:
    for at in range(max(map(len, blocks))):
        yield from (block[at] for block in blocks if at < len(block))


def _times(a: int, b: int) -> int:
    """Multiply in GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1."""
    found = 0
    while b:
        if b & 1:
            found ^= a
        a = a << 1 ^ (0x11D if a & 0x80 else 0)
        b >>= 1
    return found


@cache
def _generator(degree: int) -> tuple[int, ...]:
    """Return the coefficients of the Reed-Solomon generator behind its leading one."""
    found, root = [1], 1
    for _ in range(degree):
        longer = [*found, 0]
        for at, value in enumerate(found):
            longer[at + 1] ^= _times(value, root)
        found, root = longer, _times(root, 2)
    return tuple(found[1:])


def _remainder(data: Iterable[int], degree: int) -> list[int]:
    left = [0] * degree
    for word in data:
        factor = word ^ left.pop(0)
        left.append(0)
        left = [value ^ _times(part, factor) for value, part in zip(left, _generator(degree), strict=True)]
    return left


def _draw_patterns(grid: _Grid) -> None:
    size = grid.size
    for at in range(size):
        grid.put(6, at, on=at % 2 == 0)
        grid.put(at, 6, on=at % 2 == 0)
    for x, y in ((3, 3), (size - 4, 3), (3, size - 4)):
        _draw_rings(grid, x, y, reach=4, light=(2, 4))
    places = _alignments(grid.version)
    for x, y in product(places, places):
        if (x, y) not in {(6, 6), (6, size - 7), (size - 7, 6)}:
            _draw_rings(grid, x, y, reach=2, light=(1,))
    _draw_format(grid, 0)
    if grid.version >= 7:
        _draw_version(grid)


def _draw_rings(grid: _Grid, x: int, y: int, *, reach: int, light: Sequence[int]) -> None:
    for dx, dy in product(range(-reach, reach + 1), repeat=2):
        if 0 <= x + dx < grid.size and 0 <= y + dy < grid.size:
            grid.put(x + dx, y + dy, on=max(abs(dx), abs(dy)) not in light)


def _alignments(version: int) -> list[int]:
    """Return the rows and columns of the centres of alignment patterns."""
    if version == 1:
        return []
    count, last = version // 7 + 2, 4 * version + 10
    step = -(-(last - 6) // (count - 1))
    step += step % 2
    return [6, *sorted(last - step * back for back in range(count - 1))]


def _draw_format(grid: _Grid, mask: int) -> None:
    kept = _LEVEL_L << 3 | mask
    bits = (kept << 10 | _bch(kept, 0b10100110111, 10)) ^ _FORMAT_MASK
    size = grid.size
    beside = [(8, y) for y in (0, 1, 2, 3, 4, 5, 7, 8)] + [(x, 8) for x in (7, 5, 4, 3, 2, 1, 0)]
    apart = [(size - 1 - n, 8) for n in range(8)] + [(8, size - 7 + n) for n in range(7)]
    for places in (beside, apart):
        for number, (x, y) in enumerate(places):
            grid.put(x, y, on=bool(bits >> number & 1))
    grid.put(8, size - 8, on=True)


def _draw_version(grid: _Grid) -> None:
    bits = grid.version << 12 | _bch(grid.version, 0b1111100100101, 12)
    for number in range(18):
        along, across = divmod(number, 3)
        for x, y in ((along, grid.size - 11 + across), (grid.size - 11 + across, along)):
            grid.put(x, y, on=bool(bits >> number & 1))


def _bch(value: int, generator: int, degree: int) -> int:
    """Return the remainder of value * x^degree by a polynomial over GF(2)."""
    left = value << degree
    while left.bit_length() > degree:
        left ^= generator << (left.bit_length() - degree - 1)
    return left


def _draw_data(grid: _Grid, words: bytes) -> None:
    bits = "".join(f"{word:08b}" for word in words)
    for bit, place in zip(bits, _way(grid), strict=False):  # the few modules that are left over stay light
        if bit == "1":
            grid.dark.add(place)


def _way(grid: _Grid) -> Iterator[tuple[int, int]]:
    """Pass through the modules for data: two columns at a time from the right, upwards, then downwards."""
    rights = [x for x in range(grid.size - 1, 0, -2) if x > 6] + [5, 3, 1]
    for number, right in enumerate(rights):
        rows = range(grid.size) if number % 2 else range(grid.size - 1, -1, -1)
        yield from ((x, y) for y in rows for x in (right, right - 1) if (x, y) not in grid.fixed)


def _masked(grid: _Grid, mask: int) -> set[tuple[int, int]]:
    done = _Grid(grid.version, set(grid.dark), set(grid.fixed))
    for x, y in product(range(grid.size), repeat=2):
        if (x, y) not in grid.fixed and _turns(mask, x, y):
            done.dark ^= {(x, y)}
    _draw_format(done, mask)
    return done.dark


def _turns(mask: int, x: int, y: int) -> bool:
    rules = (
        (x + y) % 2,
        y % 2,
        x % 3,
        (x + y) % 3,
        (x // 3 + y // 2) % 2,
        x * y % 2 + x * y % 3,
        (x * y % 2 + x * y % 3) % 2,
        ((x + y) % 2 + x * y % 3) % 2,
    )
    return rules[mask] == 0


def _penalty(dark: set[tuple[int, int]], size: int) -> int:
    """Return how hard a symbol is to read: long runs, blocks of one colour, and what looks like a finder pattern."""
    rows = ["".join("1" if (x, y) in dark else "0" for x in range(size)) for y in range(size)]
    columns = ["".join(line) for line in zip(*rows, strict=True)]
    found = sum(_line_penalty(line) for line in (*rows, *columns))
    for x, y in product(range(size - 1), repeat=2):
        corner = (x, y) in dark
        found += 3 * (corner == ((x + 1, y) in dark) == ((x, y + 1) in dark) == ((x + 1, y + 1) in dark))
    return found + 10 * (abs(len(dark) * 20 - size * size * 10) // (size * size))


def _line_penalty(line: str) -> int:
    found, length = 0, 0
    for at, module in enumerate(line):
        length = length + 1 if at and line[at - 1] == module else 1
        found += 3 if length == 5 else 1 if length > 5 else 0
    return found + 40 * sum(line[at : at + 11] in {"10111010000", "00001011101"} for at in range(len(line) - 10))
