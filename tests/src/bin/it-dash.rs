//! `bb-dash`, the dashboard: the program is `bb_tui::dashboard`.
fn main() -> std::process::ExitCode {
    bb_tui::dashboard::main()
}
