# Sourced by the runners: installs Debian packages and peers from PyPI, records what is skipped and
# what failed. Sets CONSORT_VENV if the peers from PyPI are installed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
skipped=()
failed=()
flaky=()
failures=()
times=()
suites_run=0
suites_total=

heading() { printf '\n== %s\n' "$*"; }

skip() {
    skipped+=("$*")
    printf 'SKIPPED: %s\n' "$*" >&2
}

# Runs a command as root: directly, or through a sudo that needs no password.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

# install_debian_packages [FILE…]: installs the packages that the files list.
install_debian_packages() {
    local wanted missing=() attempt
    mapfile -t wanted < <(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "${@:-tests/packages.debian}")
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        skip "Debian packages (apt is not available): ${wanted[*]}"
        return
    fi
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    heading "installing Debian packages: ${missing[*]}"
    # Another program may hold the lock of the package manager, such as the updates of a machine
    # that has just started: wait up to ten minutes for it.
    for attempt in 1 2 3 4 5; do
        if as_root env DEBIAN_FRONTEND=noninteractive sh -c \
            'apt-get update -qq && apt-get install -y -qq -o DPkg::Lock::Timeout=600 --no-install-recommends "$@" >/dev/null' \
            apt "${missing[@]}"; then
            return 0
        fi
        as_root true || break
        ((attempt == 5)) || { echo "apt failed; trying again in 15 s" >&2; sleep 15; }
    done
    skip "Debian packages (not root and no sudo, or apt failed): ${missing[*]}"
}

install_peers() {
    local venv="$root/target/venv"
    if [ ! -x "$venv/bin/python" ]; then
        heading "creating a virtual environment for the peers from PyPI: target/venv"
        /usr/bin/python3 -m venv "$venv" || { skip "peers from PyPI (python3-venv is not installed)"; return; }
    fi
    local stamp="$venv/.installed"
    if ! cmp -s tests/packages.pypi "$stamp"; then
        heading "installing peers from PyPI: $(sed -e 's/#.*//' -e '/^$/d' tests/packages.pypi | xargs)"
        if "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/packages.pypi; then
            cp tests/packages.pypi "$stamp"
        else
            skip "peers from PyPI (pip failed)"
            return
        fi
    fi
    export CONSORT_VENV="$venv"
    install_node_peers
}

# The packages of tests/packages.npm, where node and npm are installed; the tests skip them elsewhere.
install_node_peers() {
    command -v node >/dev/null && command -v npm >/dev/null || return 0
    local folder="$root/target/node"
    if ! cmp -s tests/packages.npm "$folder/.installed"; then
        heading "installing peers from npm: $(xargs <tests/packages.npm)"
        mkdir -p "$folder"
        # shellcheck disable=SC2046 # one word for each package
        if npm install --silent --no-fund --no-audit --omit=optional --prefix "$folder" \
            $(cat tests/packages.npm) >/dev/null; then
            cp tests/packages.npm "$folder/.installed"
        else
            echo "npm failed: its packages are not tested" >&2
            return 0
        fi
    fi
    export CONSORT_NODE_MODULES="$folder/node_modules"
}

# Sets CONSORT_TIME_SCALE, the factor of the deadlines of the virtual machine, unless it is set: how
# much slower than the reference machine this one is at the moment, at least 1 and at most 10.
set_time_scale() {
    [ -z "${CONSORT_TIME_SCALE:-}" ] || { export CONSORT_TIME_SCALE; return; }
    local begun=${EPOCHREALTIME/[.,]/} i sum=0
    for ((i = 0; i < 300000; i++)); do sum=$((sum + i)); done
    # The reference machine needs about 900 ms for this loop.
    local scale=$(((${EPOCHREALTIME/[.,]/} - begun) / 900000))
    export CONSORT_TIME_SCALE=$((scale < 1 ? 1 : scale > 10 ? 10 : scale))
    echo "deadlines in the virtual machine: $CONSORT_TIME_SCALE times the usual ones"
}

# Runs one suite: suite NAME COMMAND… Its output is printed and kept in target/suites. A suite that
# fails is run once more, because the machine may have been slow: if it then passes, the summary
# reports it as flaky, with the end of what the failed run printed. With `run_once` set, a failure
# is final.
suite() {
    local name=$1 log begun=$SECONDS outcome=passed
    shift
    log=$root/target/suites/${name//[^a-zA-Z0-9]/-}
    mkdir -p "$root/target/suites"
    suites_run=$((suites_run + 1))
    heading "$name${suites_total:+ ($suites_run of $suites_total, after $((SECONDS / 60)) min)}"
    if "$@" > >(tee "$log.log") 2>&1; then
        :
    elif [ -n "${run_once:-}" ]; then
        outcome=FAILED
    else
        heading "$name, once more"
        mv "$log.log" "$log.first.log"
        if "$@" > >(tee "$log.log") 2>&1; then
            outcome=flaky
            flaky+=("$name" "$log.first.log")
        else
            outcome=FAILED
        fi
    fi
    if [ "$outcome" = FAILED ]; then
        failed+=("$name")
        failures+=("$name" "$log.log")
    fi
    times+=("$(printf '%-8s %5d s  %s' "$outcome" $((SECONDS - begun)) "$name")")
    [ "$outcome" != FAILED ]
}

# Runs every script of a folder in order and records which failed.
run_folder() {
    local script status=0
    for script in "$1"/[0-9][0-9]-*.sh; do
        [ -e "$script" ] || continue
        suite "$script" bash "$script" || status=1
    done
    return $status
}

# Prints the end of each log of a list of names and logs.
print_ends() {
    while [ $# -gt 0 ]; do
        heading "the end of what $1 printed"
        tail -n 30 "$2"
        shift 2
    done
}

report() {
    local item
    print_ends "${flaky[@]}" "${failures[@]}"
    heading "summary"
    for item in "${times[@]}"; do printf '%s\n' "$item"; done
    for item in "${skipped[@]}"; do printf 'SKIPPED: %s\n' "$item"; done
    for item in "${failed[@]}"; do printf 'FAILED: %s\n' "$item"; done
    if [ ${#failed[@]} -gt 0 ]; then
        return 1
    fi
    if [ ${#skipped[@]} -gt 0 ] && [ "${CI:-}" = true ]; then
        echo "FAILED: in CI, nothing may be skipped"
        return 1
    fi
    if [ ${#flaky[@]} -gt 0 ]; then
        echo "all suites passed, some only when they ran again"
        return 0
    fi
    echo "all suites passed"
}
