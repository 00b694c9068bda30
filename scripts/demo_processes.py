"""The demo's processes: starting, waiting for, and stopping them by their ids; and whose a port is."""

import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import time

START_SECONDS = 30
STOP_SECONDS = 20
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """Something is not as it must be; the text says what."""


def _die_with_parent():
    """A demo that is killed outright leaves nothing behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """One child with its output in a file. In a session of its own, so that Ctrl-C reaches the demo alone."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.log = name, log
        self.file = open(log, "wb")
        self.child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=self.file, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=_die_with_parent, env={**os.environ, **(env or {})})

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def check_alive(self):
        if self.child.poll() is not None:
            raise Failed(f"{self.name} ended with {self.child.returncode}:\n{self.output()[-2000:]}")

    def wait_for(self, pattern):
        """The first group of the pattern, once the output has it."""
        return wait_until(lambda: self.find(pattern), f"{self.name} to print {pattern!r}")

    def find(self, pattern):
        self.check_alive()
        match = re.search(pattern, self.output())
        return match.group(1) if match else None

    def go_on(self):
        """Should somebody have frozen it."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGCONT)

    def stop(self):
        """SIGTERM, and SIGKILL if that is not obeyed. The exit status."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.file.close()
        return self.child.returncode


def wait_until(condition, what, seconds=START_SECONDS):
    """The condition's value, once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def free_port():
    """A port that nobody listens on, below those the kernel gives to outgoing connections, so that none takes it."""
    while True:
        port = random.randint(11000, 31000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def holder_of(port):
    """Who listens on a port, as "name (process N)"; None if nobody does, "another user's process" if it cannot be told."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            with open(table, encoding="ascii") as file:
                rows = [line.split() for line in file][1:]
            inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rsplit(":", 1)[1], 16) == port}
    if not inodes:
        return None
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            descriptors = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            if descriptors & sockets:
                with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                    return f"{file.read().strip()} (process {pid})"
        except OSError:
            continue
    return "another user's process"
