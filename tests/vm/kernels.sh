# Sourced by the suites of the kernel's sequencer.

# on_every_kernel WHAT: calls `run_on SUITE`, which the suite defines, for Debian's kernel (an empty
# suite) and for a newer one (CONSORT_VM_NEWER, default sid) where it can be fetched. Without the
# virtual machine it ends the script: skipped loudly, and in CI a failure.
on_every_kernel() {
    local what=$1 newer=${CONSORT_VM_NEWER-sid} status=0
    run_on "" || status=$?
    if ((status == 77)); then
        echo "SKIPPED: $what on the kernel: the virtual machine cannot be had here"
        [[ -z ${CI:-} ]] || exit 1
        exit 0
    fi
    ((status == 0)) || exit 1
    if [[ -n $newer ]]; then
        run_on "$newer" || status=$?
        if ((status == 77)); then
            echo "SKIPPED: $what on the kernel of $newer: it could not be fetched"
        elif ((status != 0)); then
            exit 1
        fi
    fi
    echo "$what on the kernel: passed"
}
