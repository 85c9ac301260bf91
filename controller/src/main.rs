//! The daemon; all of it is in the library.

/// Keeps what is of one size together: a thousand streams touch fewer pages of memory, and cost
/// some 6 % less processor time, than with the allocator of the C library.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    bb_controller::main()
}
