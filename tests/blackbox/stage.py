"""What one test, or one measurement, needs around it."""

import itertools

import harness
from http1 import Upstream, answering


class Stage:
    """Starts what one test needs, and takes it down in the reverse order, checking that each ended well."""

    def __init__(self, scratch):
        self.scratch = scratch
        self.running = []
        self.number = itertools.count(1)

    def mock(self, *flags, name=None, **options):
        return self._keep(harness.Mock(self.scratch, name or f"mock{next(self.number)}", *flags, **options))

    def upstream(self, script, tls=None):
        """A script, or what it answers: the same to all requests, or a list to take turns. tls: an ssl.SSLContext."""
        answers = script if isinstance(script, list) else [script]
        upstream = Upstream(script if callable(script) else answering(*answers), tls=tls)
        self.running.append(upstream.close)
        return upstream

    def config(self, port, providers, **top):
        """A node's configuration: providers are URLs, things with a url, or dictionaries."""

        def provider(p):
            return dict(p) if isinstance(p, dict) else {"base_url": getattr(p, "url", p)}

        if not isinstance(providers, dict):
            providers = {"mock": providers}
        server = {"listen": f"127.0.0.1:{port}", "workers": 1, **top.pop("server", {})}
        off = {"enabled": False}  # what would answer in the upstream's place has tests of its own
        client = {"retry": off, "circuit_breaker": off, "health": off, **top.pop("http_client", {})}
        return {"server": server, "providers": {n: provider(p) for n, p in providers.items()}, "http_client": client, **top}

    def node(self, providers, name=None, ready=True, env=None, nofile=None, args=(), tls=None, **top):
        port = harness.free_port()
        config = self.config(port, providers, **top)
        name = name or f"node{next(self.number)}"
        return self._keep(harness.Node(self.scratch, name, config, port, ready, env, nofile, args, tls))

    def node_of(self, config, port, name=None, **options):
        return self._keep(harness.Node(self.scratch, name or f"node{next(self.number)}", config, port, **options))

    def _keep(self, process):
        self.running.append(process.finish)
        return process

    def close(self):
        failed = []
        for stop in reversed(self.running):
            try:
                stop()
            except AssertionError as e:
                failed.append(str(e))
        assert not failed, "\n".join(failed)
