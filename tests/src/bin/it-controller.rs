//! `bb-controller`, where the tests of this package find it.

fn main() -> std::process::ExitCode {
    bb_controller::main()
}
