//! The command line.

fn main() -> std::process::ExitCode {
    bb_tui::ctl::main()
}
