//! The daemon; all of it is in the library.

fn main() -> std::process::ExitCode {
    bb_controller::main()
}
