# Reads ctest's JUnit file and prints "passed failed programs" in units of Check's checks; of a program that uses no
# Check, the simulation, in those of its last line, "N passed, N failed".
# A program that ended without such a line (a crash, a timeout, or no test in it) is one failure.
/<testcase / { open = 1; checks = 0; bad = 0; summed = 0; status = $0; programs++ }
/[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/ {
    line = $0
    gsub(/[^0-9]+/, " ", line)
    n = split(line, number, " ")
    checks += number[n - 2]
    bad += number[n - 1] + number[n]
    summed = 1
}
/^[0-9]+ passed, [0-9]+ failed/ {
    checks += $1 + $3
    bad += $3
    summed = 1
}
/<\/testcase>/ {
    failed_program = status !~ /status="run"/
    if (!summed || checks == 0 || (failed_program && bad == 0)) {
        bad++
        checks++
        name = status
        sub(/.*testcase name="/, "", name)
        sub(/".*/, "", name)
        print "no result from " name " (crash, timeout, or no check in it)" > "/dev/stderr"
    }
    passed += checks - bad
    failed += bad
}
END { print passed + 0, failed + 0, programs + 0 }
