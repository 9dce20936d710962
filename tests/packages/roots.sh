# Sourced: makes the root folders of Debian systems that the packages are tried in.

# The mirror of this machine's apt sources.
debian_mirror() {
    apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
        awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

# make_root NAME SUITE OPTION…: makes target/packages/NAME with debootstrap unless it is there.
# Prints its path; exits with 77 if the mirror has no such suite.
make_root() {
    local name=$1 suite=$2 folder=$PWD/target/packages/$1
    shift 2
    if [ ! -e "$folder.complete" ]; then
        command -v debootstrap >/dev/null || { echo "SKIPPED: debootstrap is not installed" >&2; exit 77; }
        [ "$(id -u)" = 0 ] || { echo "SKIPPED: debootstrap needs root" >&2; exit 77; }
        rm -rf "$folder"
        mkdir -p "$folder"
        echo "debootstrap: $suite in target/packages/$name" >&2
        if ! debootstrap "$@" "$suite" "$folder" "$(debian_mirror)" >"$folder.log" 2>&1; then
            tail -n 5 "$folder.log" >&2
            echo "SKIPPED: debootstrap of $suite failed" >&2
            exit 77
        fi
        touch "$folder.complete"
    fi
    printf '%s\n' "$folder"
}
