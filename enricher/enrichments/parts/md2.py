"""MD2 (RFC 1319), which hashlib lacks and old PII configurations name. Slow, and no defence."""

from collections.abc import Iterator
from functools import cache

_BLOCK = 16
_ROUNDS = 18


def md2(data: bytes) -> bytes:
    table = _table()
    short = _BLOCK - len(data) % _BLOCK
    padded = data + bytes([short]) * short
    state = bytearray(3 * _BLOCK)
    for start in range(0, len(padded) + _BLOCK, _BLOCK):
        block = padded[start : start + _BLOCK] or _checksum(padded, table)
        state[16:32] = block
        state[32:48] = bytes(a ^ b for a, b in zip(block, state[:16], strict=True))
        carry = 0
        for turn in range(_ROUNDS):
            for place in range(3 * _BLOCK):
                state[place] ^= table[carry]
                carry = state[place]
            carry = (carry + turn) % 256
    return bytes(state[:16])


def _checksum(padded: bytes, table: list[int]) -> bytes:
    checksum = bytearray(_BLOCK)
    last = 0
    for place, byte in enumerate(padded):
        checksum[place % _BLOCK] ^= table[byte ^ last]
        last = checksum[place % _BLOCK]
    return bytes(checksum)


@cache
def _table() -> list[int]:
    """The RFC's substitution of bytes: it was shuffled with the digits of pi, and is here too."""
    digits = _pi()
    table = list(range(256))
    for size in range(2, 257):
        place = _below(size, digits)
        table[place], table[size - 1] = table[size - 1], table[place]
    return table


def _below(size: int, digits: Iterator[int]) -> int:
    """A number below `size` from as many digits as it needs, without bias."""
    width = len(str(size - 1)) if size > 1 else 1
    while True:
        number = int("".join(str(next(digits)) for _ in range(width)))
        if number < size * (10**width // size):
            return number % size


def _pi() -> Iterator[int]:
    """Digits of pi, one after the other (Gibbons' spigot)."""
    q, r, t, k, digit, length = 1, 0, 1, 1, 3, 3
    while True:
        if 4 * q + r - t < digit * t:
            yield digit
            q, r, digit = 10 * q, 10 * (r - digit * t), 10 * (3 * q + r) // t - 10 * digit
        else:
            q, r, t, k, digit, length = (
                q * k,
                (2 * q + r) * length,
                t * length,
                k + 1,
                (q * (7 * k + 2) + r * length) // (t * length),
                length + 2,
            )
