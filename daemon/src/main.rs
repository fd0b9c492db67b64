//! The program `autonomy`: see [`autonomy_daemon::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    autonomy_daemon::cli::main()
}
