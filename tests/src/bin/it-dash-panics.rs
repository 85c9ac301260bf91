//! `bb-dash`, in which a thread panics once somebody connects to the socket `IT_PANICS_AT`.

use std::os::unix::net::UnixListener;

fn main() -> std::process::ExitCode {
    std::thread::spawn(panic_when_asked);
    bb_tui::dashboard::main()
}

#[expect(clippy::panic, reason = "what the program does about it is tested")]
fn panic_when_asked() {
    let asked = std::env::var_os("IT_PANICS_AT")
        .ok_or_else(|| std::io::Error::other("IT_PANICS_AT is not set"))
        .and_then(UnixListener::bind)
        .and_then(|socket| socket.accept());
    panic!("panicked as asked: {asked:?}");
}
