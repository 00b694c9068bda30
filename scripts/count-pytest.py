"""Prints "passed failed skipped" of one of pytest's JUnit files."""

import sys
import xml.etree.ElementTree as tree

total = failed = skipped = 0
for suite in tree.parse(sys.argv[1]).iter("testsuite"):
    total += int(suite.get("tests", "0"))
    failed += int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
    skipped += int(suite.get("skipped", "0"))
print(total - failed - skipped, failed, skipped)
