//! The benches of the whole proxy; all of it is in the library.

fn main() -> std::process::ExitCode {
    bb_tests::bench::main()
}
