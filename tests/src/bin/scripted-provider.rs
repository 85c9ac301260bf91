//! The scripted provider as a program.

fn main() -> std::process::ExitCode {
    bb_tests::provider::main()
}
