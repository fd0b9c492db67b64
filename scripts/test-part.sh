#!/usr/bin/env bash
# What cargo runs test programs with, for ./check: test-part.sh PART PURE_CRATES SECONDS PROGRAM [ARGUMENT...]
# Runs those of one part: `pure`, the crates named, or `other`, all others. A program that takes too long is ended.
set -euo pipefail
part=$1 pure_crates=$2 seconds=$3
shift 3
# Cargo says of which package a program is.
case " $pure_crates " in
*" ${CARGO_PKG_NAME#autonomy-} "*) of=pure ;;
*) of=other ;;
esac
[ "$part" = "$of" ] || exit 0
if command -v timeout >/dev/null; then
    exec timeout --foreground --kill-after=30 "$seconds" "$@"
fi
exec "$@"
