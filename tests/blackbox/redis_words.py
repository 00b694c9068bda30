"""Asks a Redis in words that may hold anything."""

import socket


def command(redis, *words):
    """What Redis answers to words that may hold anything; arrays as lists."""
    with socket.create_connection((redis.host, redis.port), timeout=5) as s:
        parts = [str(w).encode() for w in words]
        s.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return answer(s.makefile("rb"))


def answer(lines):
    line = lines.readline().rstrip(b"\r\n").decode()
    kind, rest = line[0], line[1:]
    assert kind != "-", rest
    if kind == "*":
        return [answer(lines) for _ in range(int(rest))]
    if kind == "$":
        return lines.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None
    return rest if kind == "+" else int(rest)
