# Shared by ./check and ./demo: where things lie, and installing what is missing. To be sourced by bash.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Both scripts read it.
# shellcheck disable=SC2034
target=${CARGO_TARGET_DIR:-$root/target}

# Everything said to people goes to stderr: stdout belongs to the program.
say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# Installs Debian packages, as root or by sudo; elsewhere says in one line what to install.
install_packages() {
    local why=$1
    shift
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "$why: as root, run: apt-get install $*"
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || die "$why: install what your system calls: $*"
    say "installing $* ($why)"
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@")
    # The lists of a fresh machine are empty or old: fetch them, then once more.
    "${as_root[@]}" "${install[@]}" >&2 2>&1 && return
    "${as_root[@]}" apt-get update >&2 || die "$why: apt-get cannot fetch its lists; install by hand: $*"
    "${as_root[@]}" "${install[@]}" >&2 || die "$why: apt-get failed; install by hand: $*"
}

# A toolchain of the version that rust-toolchain.toml names.
need_rust() {
    command -v cargo >/dev/null || die "no Rust toolchain: install one as https://rustup.rs says, then run this again"
    (cd "$root" && cargo --version >/dev/null 2>&1) && return
    command -v rustup >/dev/null || die "cargo does not run in $root: install the toolchain that rust-toolchain.toml names"
    say "installing the toolchain that rust-toolchain.toml names"
    (cd "$root" && rustup toolchain install >&2) || die "rustup could not install the toolchain; try: rustup toolchain install"
}

# A component of the toolchain, and the cargo command that it brings: `need_component rustfmt fmt`.
need_component() {
    (cd "$root" && cargo "$2" --version >/dev/null 2>&1) && return
    command -v rustup >/dev/null || die "cargo $2 is missing: install the component $1 of your Rust toolchain"
    (cd "$root" && rustup component add "$1" >&2) || die "cargo $2 is missing: run: rustup component add $1"
}

# A C compiler with the headers of the C library: SQLite, libsecp256k1 and AWS-LC are built from source.
need_compiler() {
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' |
        cc -x c -o /dev/null - 2>/dev/null && return
    install_packages "a C compiler is missing" gcc libc6-dev
}

# A cargo command from crates.io, built once for this user: `need_cargo_command deny`.
need_cargo_command() {
    (cd "$root" && cargo "$1" --version >/dev/null 2>&1) && return
    say "installing cargo-$1 (once, some minutes)"
    # Its release profile optimises the whole program as one (fat LTO, one unit): longer than all its runs here together.
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
        cargo install --locked --quiet "cargo-$1" >&2 ||
        die "cargo $1 is missing: run: cargo install --locked cargo-$1"
}
