# Functions for the test suites that use the kernel's sequencer.

# on_every_kernel SUBJECT: calls the suite's function `run_on SUITE`, first for Debian's kernel (with
# an empty SUITE), then for a newer one (CONSORT_VM_NEWER, by default sid) if it can be fetched.
# Without the virtual machine it prints SKIPPED and ends the script; in CI that is a failure.
on_every_kernel() {
    local subject=$1 newer=${CONSORT_VM_NEWER-sid} status=0
    run_on "" || status=$?
    if ((status == 77)); then
        echo "SKIPPED: $subject on the kernel: the virtual machine is not available"
        [[ -z ${CI:-} ]] || exit 1
        exit 0
    fi
    ((status == 0)) || exit 1
    if [[ -n $newer ]]; then
        run_on "$newer" || status=$?
        if ((status == 77)); then
            echo "SKIPPED: $subject on the kernel of $newer: it could not be fetched"
        elif ((status != 0)); then
            exit 1
        fi
    fi
    echo "$subject on the kernel: passed"
}
