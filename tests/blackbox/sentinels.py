"""A Redis with a replica, and three sentinels that watch over them."""

from pathlib import Path

from cluster import Redis
from harness import Process, free_port, wait_for

NAME = "weir"
# Short, so that nobody waits for long; a sentinel's own least is not far below.
DOWN_MS = 500
CONFIG = """port {port}
bind 127.0.0.1
dir {scratch}
sentinel monitor {name} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {name} {down}
sentinel failover-timeout {name} 3000
"""


class Sentinel(Redis):
    def __init__(self, scratch, name, master_port):
        self.host, self.port = "127.0.0.1", free_port()
        path = Path(scratch) / f"{name}.conf"
        path.write_text(CONFIG.format(port=self.port, scratch=scratch, name=NAME, master=master_port, down=DOWN_MS))
        Process.__init__(self, ["redis-server", path, "--sentinel"], scratch, name)
        self.or_die(lambda: wait_for(lambda: self.ask("PING") == "+PONG", f"{name} to answer"))

    def master(self):
        """What it knows: name=weir,status=ok,address=...,slaves=1,sentinels=3"""
        return dict(part.split("=", 1) for part in self.section("sentinel")["master0"].split(","))


class Watched:
    """The master, its replica and the sentinels, all knowing each other."""

    def __init__(self, stage, sentinels=3):
        self.stage = stage
        self.master = self._redis()
        self.replica = self._redis("--replicaof", "127.0.0.1", str(self.master.port))
        wait_for(lambda: self.replica.info("replication", "master_link_status") == "up", "the replica to follow")
        self.sentinels = [Sentinel(stage.scratch, f"sentinel{next(stage.number)}", self.master.port) for _ in range(sentinels)]
        for s in self.sentinels:
            stage.running.append(s.finish)
            wait_for(
                lambda s=s: s.master()["slaves"] == "1" and s.master()["sentinels"] == str(sentinels),
                f"{s.name} to know the others",
            )

    def _redis(self, *args):
        redis = Redis(self.stage.scratch, f"redis{next(self.stage.number)}", args=("--repl-diskless-sync-delay", "0", *args))
        self.stage.running.append(redis.finish)
        return redis

    @property
    def url(self):
        return f"redis+sentinel://{','.join(f'127.0.0.1:{s.port}' for s in self.sentinels)}/{NAME}"

    def master_port(self):
        return int(self.sentinels[0].master()["address"].rsplit(":", 1)[1])

    def lose_master(self):
        """kill -9 of the master; returns when the sentinels have agreed on the replica."""
        lost = self.master
        lost.kill()
        wait_for(lambda: self.master_port() == self.replica.port, "the sentinels to promote the replica")
        wait_for(lambda: self.replica.info("replication", "role") == "master", "the replica to be the master")
        self.master, self.replica = self.replica, lost
