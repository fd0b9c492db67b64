//! The program `autonomy`: see [`autonomy_cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    autonomy_cli::main()
}
