//! The program `autonomy`. All of it is in [`autonomy_cli`], so that tests and other programs can
//! use it.

use std::process::ExitCode;

fn main() -> ExitCode {
    autonomy_cli::main()
}
