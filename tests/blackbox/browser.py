"""A headless Chromium, driven through tests/dashboard/browser.mjs.

    with Browser(scratch) as b:
        b.open(node_url + "/dashboard")
        b.wait("document.querySelector('#nodes tbody tr')")
"""

import fcntl
import json
import os
import shutil
import subprocess

from harness import BUILD, ROOT, WAIT_S

FOLDER = ROOT / "tests" / "dashboard"
INSTALL_BOUND_S = 100


def packages():
    """tests/dashboard with its packages, installed from the lock file when they are not there or not those."""
    assert shutil.which("npm"), "npm is missing: run scripts/bootstrap"
    with open(BUILD / "browser-packages.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run several at a time
        install()
    return FOLDER


def install():
    installed = FOLDER / "node_modules" / ".package-lock.json"
    if not installed.exists() or os.path.getmtime(installed) < os.path.getmtime(FOLDER / "package-lock.json"):
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        ran = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_BOUND_S, check=False)
        assert ran.returncode == 0, f"npm ci failed:\n{ran.stdout}{ran.stderr}"


def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert found, "chromium is missing: run scripts/bootstrap"
    return found


class Browser:
    def __init__(self, scratch):
        self.log = open(os.path.join(scratch, "browser.log"), "wb")
        self.process = subprocess.Popen(
            ["node", "browser.mjs", chromium()], cwd=packages(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
        )
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def ask(self, verb, **more):
        self.number += 1
        self.process.stdin.write(json.dumps({"id": self.number, "do": verb, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the browser has ended: see browser.log"
        answer = json.loads(line)
        assert answer["ok"], f"{verb} {more}: {answer['error']}"
        return answer.get("value")

    def open(self, url, **options):
        """A new window, with nothing remembered: width, height, scheme ("dark"), scale, user."""
        return self.ask("open", url=url, **options)

    def run(self, js):
        return self.ask("run", js=js)

    def wait(self, js):
        """Until the expression is true."""
        return self.ask("wait", js=js, bound_ms=1000 * WAIT_S)

    def seen(self):
        """What the page has logged or thrown (errors), and asked for (requests)."""
        return self.ask("seen")
