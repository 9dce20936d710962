# Sourced: installs the programs of dist/tools.txt with their versions, into target/tools
# (CONSORT_TOOLS), and finds them on PATH. Needs the repository as the current folder.

tools=${CONSORT_TOOLS:-$PWD/target/tools}
export PATH=$tools/bin:$tools/venv/bin:$PATH

# The version of the workspace.
workspace_version() {
    sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml
}

# use_tools NAME…: installs these programs unless they are there.
use_tools() {
    local name kind wanted
    for name in "$@"; do
        read -r kind wanted < <(awk -v name="$name" '$2 == name { print $1, $3 }' dist/tools.txt)
        case $kind in
            cargo)
                command -v "$name" >/dev/null && continue
                echo "installing $name $wanted"
                cargo install --quiet --locked --root "$tools" "$name@$wanted"
                ;;
            pypi)
                [ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv"
                [ "$("$tools/venv/bin/pip" show "$name" 2>/dev/null | sed -n 's/^Version: //p')" = "$wanted" ] && continue
                echo "installing $name $wanted"
                "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "$name==$wanted"
                ;;
            *)
                echo "error: dist/tools.txt has no $name" >&2
                return 1
                ;;
        esac
    done
}
