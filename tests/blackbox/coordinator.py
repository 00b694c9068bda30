"""A weir-coordinator with a page of its own, beside a Cluster."""

import json
from pathlib import Path

import yaml
from harness import Process, free_port, program, wait_for
from http1 import Client

LEASE_S = 2


class Coordinator(Process):
    def __init__(self, stage, cluster, name, url=None, top=None, **pool):
        self.port = free_port()
        self.path = Path(stage.scratch) / f"{name}.yaml"
        self.config = {
            "distributed_pool": {"redis_url": url or cluster.url, "shard_count": 24, **cluster.pool, **pool},
            "coordinator": {"id": name, "listen": f"127.0.0.1:{self.port}", "lease": LEASE_S},
            **(top or {}),
        }
        self.write()
        super().__init__([program("weir-coordinator"), "-c", self.path], stage.scratch, name)
        stage.running.append(self.finish)

    def write(self):
        self.path.write_text(yaml.safe_dump(self.config))

    def get(self, target):
        with Client(self.port) as c:
            return c.get(target)

    def ready(self):
        return json.loads(self.get("/health/ready").body)

    def metric(self, name):
        """Of a name with its labels, if it has any."""
        (line,) = [text for text in self.get("/metrics/prometheus").body.decode().splitlines() if text.startswith(name + " ")]
        return float(line.split()[-1])

    def wait_leads(self, leads=True):
        wait_for(lambda: self.ready()["leads"] is leads, f"{self.name} {'' if leads else 'not '}to lead")

    def events(self, name):
        return [line for line in self.log_lines() if line.get("event") == name]
