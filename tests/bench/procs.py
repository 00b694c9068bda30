"""Processes of the bench: started on a core, measured through /proc, stopped by process id."""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import time
import urllib.request


class Core:
    """Which core is whose: what is measured, and what makes and answers the load."""

    proxy = 0
    load = 1


_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_CLONE_NEWNET = 0x40000000


class BenchError(Exception):
    """A measurement that can not be trusted or taken; the message says why."""


def _go_ahead():
    """Lets this session have the core before all others, where the kernel shares it out by sessions."""
    if os.path.exists("/proc/self/autogroup"):
        with open("/proc/self/autogroup", "w", encoding="ascii") as f:
            f.write("-20")


class Process:
    """A child pinned to one core. It dies with the bench, however the bench ends. `ahead`: before all others there."""

    def __init__(self, argv, core, stdin=None, stdout=subprocess.PIPE, stderr=None, name=None, ahead=False):
        self.name = name or os.path.basename(argv[0])

        def on_child():
            if ahead:
                os.setsid()
                _go_ahead()
            os.sched_setaffinity(0, {core})
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

        self._popen = subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=stderr, text=True, preexec_fn=on_child)
        self.pid = self._popen.pid
        self.stdin = self._popen.stdin

    def running(self):
        return self._popen.poll() is None

    def read_line(self, timeout_s):
        """The next line of its output. Only for programs that print little: the pipe is unbuffered here."""
        line = b""
        end = time.monotonic() + timeout_s
        fd = self._popen.stdout.fileno()
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
            byte = os.read(fd, 1) if ready else b""
            if not byte:
                why = "ended" if ready else f"said nothing for {timeout_s} s"
                raise BenchError(f"{self.name} {why}")
            line += byte
        return line.decode().rstrip()

    def finish(self, timeout_s):
        """Wait for its own end and return its output."""
        try:
            out, _ = self._popen.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise BenchError(f"{self.name} did not end within {timeout_s} s") from None
        if self._popen.returncode != 0:
            raise BenchError(f"{self.name} ended with status {self._popen.returncode}:\n{out}")
        return out

    def stop(self):
        if self.running():
            self._popen.terminate()
            try:
                self._popen.wait(2)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def cpu_ns(self):
        """CPU time of all its threads. /proc/PID/schedstat would be that of the first thread alone."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/schedstat", encoding="ascii") as f:
                total += int(f.read().split()[0])
        return total

    def private_kb(self):
        """Memory that would come back if it ended: private pages, clean and dirty."""
        total = 0
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as f:
            for line in f:
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    total += int(line.split()[1])
        return total


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port, process, timeout_s=10, address="127.0.0.1"):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if not process.running():
            raise BenchError(f"{process.name} ended at its start")
        try:
            socket.create_connection((address, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise BenchError(f"{process.name} does not listen on port {port}")


def get_json(url, timeout_s=5):
    with urllib.request.urlopen(url, timeout=timeout_s) as answer:
        return json.load(answer)


def enter_namespace(path):
    """Move this thread into a network namespace: sockets and children made from now on live there."""
    with open(path, "rb") as f:
        if _LIBC.setns(f.fileno(), _CLONE_NEWNET) != 0:
            raise BenchError(f"can not enter {path}: {os.strerror(ctypes.get_errno())}")


class Tools:
    """The bench's own programs, where the build left them."""

    def __init__(self, build_dir):
        self.dir = os.path.join(build_dir, "bench")
        missing = [t for t in ("relay", "origin", "holder", "tundelay") if not os.access(self.path(t), os.X_OK)]
        if missing:
            raise BenchError(f"not built in {self.dir}: {', '.join(missing)}; run: ninja -C {build_dir} {' '.join(missing)}")

    def path(self, name):
        return os.path.join(self.dir, name)

    def origin(self, address="127.0.0.1", **options):
        return Origin(self.path("origin"), address, options)


class Origin(Process):
    """The upstream behind every proxy, on the load generators' core."""

    def __init__(self, path, address, options):
        argv = [path, "--listen", f"{address}:0"]
        for key, value in options.items():
            argv += [f"--{key.replace('_', '-')}", str(value)]
        super().__init__(argv, Core.load)
        self.address = address
        self.port = int(self.read_line(5).split()[1])

    def stats(self):
        return get_json(f"http://{self.address}:{self.port}/stats")


class Holder(Process):
    """Client connections that are open and stay so until release()."""

    def __init__(self, tools, port, count, stream=False):
        argv = [tools.path("holder"), "--to", f"127.0.0.1:{port}", "--count", str(count)]
        if stream:
            argv += ["--stream", "--path", "/stream"]
        super().__init__(argv, Core.load, stdin=subprocess.PIPE)
        try:
            line = self.read_line(60)
            if line != f"ready {count}":
                raise BenchError(f"holder: {line}")
        except BenchError:
            self.stop()
            raise

    def release(self):
        """Let go; returns how many connections the proxy had closed meanwhile."""
        words = self.finish(10).split()
        return int(words[words.index("lost") + 1])
