#!/usr/bin/env bash
# The same sources make the same packages: a copy in another folder, built at another time with
# another umask and number of jobs, has the same checksums. Only x86_64, to save time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$(mktemp -d "$PWD/target/another-folder.XXXXXX")
trap 'rm -rf "$folder"' EXIT
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
git ls-files -z | xargs -0 cp -P --parents -t "$folder"
(
    cd "$folder"
    umask 077
    SOURCE_DATE_EPOCH=$epoch CARGO_BUILD_JOBS=1 CONSORT_TOOLS=${CONSORT_TOOLS:-$OLDPWD/target/tools} dist/build x86_64
) | tail -n 5
for file in "$folder"/target/dist/consort*; do
    cmp "$file" "target/dist/$(basename "$file")"
    echo "equal: $(basename "$file")"
done
echo "reproducible: passed"
