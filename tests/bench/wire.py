"""Two network namespaces of our own, joined by a wire that takes its time (tools/tundelay.c)."""

import os
import subprocess

from procs import Core, Origin, Process, enter_namespace

NEAR_ADDRESS = "10.255.77.1"
FAR_ADDRESS = "10.255.77.2"
ONE_WAY_MS = 25


def ip(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True, text=True)


class Wire:
    """On entry this process stands in the near namespace; far_origin() is one round trip (50 ms) away from it."""

    def __init__(self, tools):
        self.tools = tools
        self.names = [f"weir-bench-{os.getpid()}-{end}" for end in ("near", "far")]
        self._home = None
        self._tundelay = None

    def __enter__(self):
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            for name in self.names:
                ip("netns", "add", name)
            near, far = (f"/run/netns/{name}" for name in self.names)
            self._tundelay = Process([self.tools.path("tundelay"), "--ns-a", near, "--ns-b", far,
                                      "--delay-ms", str(ONE_WAY_MS)], Core.load)
            self._tundelay.read_line(5)
            for name, device, here, there in ((self.names[0], "weir-near", NEAR_ADDRESS, FAR_ADDRESS),
                                              (self.names[1], "weir-far", FAR_ADDRESS, NEAR_ADDRESS)):
                ip("-n", name, "link", "set", "lo", "up")
                ip("-n", name, "addr", "add", here, "peer", there, "dev", device)
                ip("-n", name, "link", "set", device, "up")
            enter_namespace(near)
        except BaseException:
            self.__exit__()
            raise
        return self

    def far(self, start):
        """What start() starts, at the far end."""
        enter_namespace(f"/run/netns/{self.names[1]}")
        try:
            return start()
        finally:
            enter_namespace(f"/run/netns/{self.names[0]}")

    def far_origin(self):
        return self.far(lambda: Origin(self.tools.path("origin"), FAR_ADDRESS, {}))

    def __exit__(self, *_):
        enter_namespace(f"/proc/self/fd/{self._home}")
        os.close(self._home)
        if self._tundelay is not None:
            self._tundelay.stop()
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
