# Shared by the scripts beside it: `. scripts/lib.sh` from the top of the tree. Not a program.
# shellcheck shell=bash

SCRIPT=$(basename "$0")
# Debian's own Python has Debian's pytest, whatever else PATH offers.
export PYTHON=/usr/bin/python3

say() { printf '%s: %s\n' "$SCRIPT" "$*"; }
die() {
    printf '%s: %s\n' "$SCRIPT" "$*" >&2
    exit 1
}

# help_if_asked FILE "$@": for -h and --help, shows the comment at the top of FILE, the script that asks, and ends.
help_if_asked() {
    local file=$1 argument
    shift
    for argument in "$@"; do
        case "$argument" in
            -h | --help)
                sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$file"
                exit 0
                ;;
        esac
    done
}

# How many black-box tests run at once: most of them wait for something most of the time.
tests_at_once() {
    local twice=$((2 * $(nproc)))
    printf '%s' "${WEIR_TEST_JOBS:-$((twice < 16 ? twice : 16))}"
}

# build PRESET [TARGET...]: configures and builds. On a terminal it shows its progress, elsewhere only what failed.
build() {
    local preset=$1 log targets=()
    shift
    [ $# = 0 ] || targets=(--target "$@")
    mkdir -p build
    log=build/$preset.log
    say "building ($preset${*:+: $*})"
    cmake --preset "$preset" >"$log" 2>&1 || {
        cat "$log"
        return 1
    }
    if [ -t 1 ]; then
        cmake --build --preset "$preset" -j "$(nproc)" "${targets[@]}"
    elif ! cmake --build --preset "$preset" -j "$(nproc)" "${targets[@]}" >"$log" 2>&1; then
        grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking)' "$log" | tail -n 100
        return 1
    fi
}
