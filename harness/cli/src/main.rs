//! The binary `proofbench`: the built-in checks behind the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    proofbench::main(&proofbench_suites::all())
}
