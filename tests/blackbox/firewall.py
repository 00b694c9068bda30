"""A network namespace with a wire to ours, and a firewall in it that can drop all that comes in without a word."""

import os
import shutil
import subprocess

# Of 10.255.0.0/16 a /30 for each process that may run this at once.
NEAR, FAR = 1, 2
CAN_RUN = os.geteuid() == 0 and shutil.which("nft") is not None and shutil.which("ip") is not None


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True, text=True)


class Firewalled:
    def __init__(self):
        number = os.getpid() % 16384
        self.name = f"weir-{os.getpid()}"
        self.near, self.host = (f"10.255.{number // 64}.{number % 64 * 4 + end}" for end in (NEAR, FAR))
        device, peer = f"wn{os.getpid()}", f"wf{os.getpid()}"
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", device, "type", "veth", "peer", "name", peer, "netns", self.name)
            run("ip", "addr", "add", f"{self.near}/30", "dev", device)
            run("ip", "link", "set", device, "up")
            run("ip", "-n", self.name, "link", "set", "lo", "up")
            run("ip", "-n", self.name, "addr", "add", f"{self.host}/30", "dev", peer)
            run("ip", "-n", self.name, "link", "set", peer, "up")
        except BaseException:
            self.close()
            raise

    def redis(self, cluster):
        """A Redis in there, for nodes that are started afterwards; none but ours can reach it."""
        redis = cluster.start_redis(host=self.host, before=self.before, args=("--protected-mode", "no"))
        cluster.redis, cluster.url = redis, redis.url
        return redis

    @property
    def before(self):
        """What starts a program in there."""
        return ("ip", "netns", "exec", self.name)

    def cut(self):
        run(*self.before, "nft", "add table ip weir; add chain ip weir in { type filter hook input priority 0; policy drop; }")

    def mend(self):
        run(*self.before, "nft", "delete table ip weir")

    def close(self):
        """The wire goes with the namespace, once nothing runs in there any more."""
        run("ip", "netns", "del", self.name)
