"""HAProxy before the nodes of a cluster, as operators have it: it asks each node whether it is ready, and sends a request
that could not connect to another one. It resends nothing that a node may have seen. A request with `x-entry: NAME` goes to
that node while it is ready."""

import json
from pathlib import Path

from harness import Process, free_port, wait_for
from http1 import Client

CONFIG = """
global
    maxconn 4000
    nbthread 1
    log stdout format raw local0
    stats socket {scratch}/{name}.sock mode 600
defaults
    mode http
    log global
    log-format '{{"id":"%HU","server":"%s","status":%ST,"end":"%ts"}}'
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    option http-no-delay
    option redispatch 1
    retries 3
    retry-on conn-failure
frontend clients
    bind 127.0.0.1:{port}
    default_backend nodes
backend nodes
    balance roundrobin
    option httpchk GET /health/ready
    http-check expect status 200
{entries}
    default-server check inter 100ms fall 1 rise 1 observe layer4 error-limit 1 on-error mark-down
{servers}
"""


class Balancer(Process):
    """Not started by Stage: keep it with stage.running."""

    def __init__(self, scratch, nodes, name="haproxy"):
        self.port = free_port()
        servers = "\n".join(f"    server {n.name} 127.0.0.1:{n.port}" for n in nodes)
        entries = "\n".join(f"    use-server {n.name} if {{ req.hdr(x-entry) -m str {n.name} }}" for n in nodes)
        path = Path(scratch) / f"{name}.cfg"
        path.write_text(CONFIG.format(scratch=scratch, name=name, port=self.port, servers=servers, entries=entries))
        super().__init__(["haproxy", "-db", "-f", path], scratch, name)
        self.or_die(lambda: wait_for(lambda: self._ready(len(nodes)), "all nodes to be used by HAProxy"))

    def _ready(self, count):
        seen = set()
        for _ in range(2 * count):
            with self.client() as c:
                assert c.get("/health/ready").status == 200
        for line in self.requests():
            seen.add(line["server"])
        return len(seen) == count

    def client(self, **options):
        return Client(self.port, **options)

    def requests(self):
        """What it has logged of each request: id (path and query), server, status, end ("--": nothing went wrong)."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    def finish(self):
        if not self.stopped:
            self.popen.kill()
            self.popen.wait()
            self.stopped = True


def balance(stage, nodes):
    """An HAProxy before these, that ends with the stage."""
    balancer = Balancer(stage.scratch, nodes, f"haproxy{next(stage.number)}")
    stage.running.append(balancer.finish)
    return balancer
