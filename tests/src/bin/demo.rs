//! The demo as a program; `scripts/demo` builds and runs it.

fn main() -> std::process::ExitCode {
    bb_tests::demo::main()
}
