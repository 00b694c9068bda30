"""Nodes that try again, and providers to fail them: for tests of retries."""

import time

from harness import wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOCK_SLACK_S = 0.005  # the node counts in milliseconds, and from the start of a turn of its loop


def error(status=500, body=b"no", fields=""):
    return f"HTTP/1.1 {status} Wrong\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


def node_for(stage, upstreams, retry=None, name="p", workers=1, **http_client):
    """A node in front of them as the endpoints of one provider, which waits for no retry unless told to."""
    urls = [u if isinstance(u, str) else u.url for u in (upstreams if isinstance(upstreams, list) else [upstreams])]
    retry = {"backoff_factor": 0, **(retry or {})}
    provider = {"endpoints": [{"url": url} for url in urls]}
    return stage.node({name: provider}, server={"workers": workers}, http_client={"retry": retry, **http_client})


def timed(*answers):
    """A script that answers in turn and remembers when it was asked."""
    times, turn = [], iter(range(1 << 30))

    def script(wire, _):
        while True:
            wire.request()
            times.append(time.monotonic())
            answer = answers[min(next(turn), len(answers) - 1)]
            wire.send(answer() if callable(answer) else answer)

    return script, times


def access(node, count=1):
    """The access lines of the requests that were for a provider."""

    def lines():
        found = [line for line in node.events("access") if "provider" in line]
        return found if len(found) >= count else None

    return wait_for(lines, f"{count} lines of the access log")


def get(node, target="/x", headers=()):
    with node.client() as c:
        return c.get(target, headers)


def post(node, body, headers=()):
    with node.client() as c:
        return c.post("/x", body, headers)


def silent(wire, upstream):
    wire.request()
    wire.hold()
