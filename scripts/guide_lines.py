"""Types the guide's command lines (tests/guide/commands.txt), word for word, at a cluster that may be on another port than
theirs: curl is led there by a .curlrc. As a program: guide_lines.py PORT, against 127.0.0.1.
"""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINES = os.path.join(ROOT, "tests", "guide", "commands.txt")
# An error's page is no answer, and only the answer is to be looked at.
CURLRC = """connect-to = "localhost:8000:127.0.0.1:{port}"
fail
silent
show-error
"""


def lines():
    with open(LINES, encoding="utf-8") as file:
        return file.read().splitlines()


def what_is_wrong(line, folder):
    """None when the line succeeds and shows something; else what it did. The folder holds the .curlrc."""
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=30, check=False,
                          env={**os.environ, "CURL_HOME": folder})
    if done.returncode == 0 and done.stdout.strip() not in ("", "null"):
        return None
    return f"{line}: exit {done.returncode}: {done.stderr}{done.stdout}"


def type_all(port):
    """What is wrong with each line that is."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, ".curlrc"), "w", encoding="utf-8") as file:
            file.write(CURLRC.format(port=port))
        return [wrong for wrong in (what_is_wrong(line, folder) for line in lines()) if wrong]


if __name__ == "__main__":
    problems = type_all(int(sys.argv[1]))
    print("\n".join(problems) or f"{len(lines())} lines, each of which works")
    sys.exit(1 if problems or not lines() else 0)
