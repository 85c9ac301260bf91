//! The terminal: taken at the start, given back on every way out.

use std::io::{self, Stdout, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{cursor, execute};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;

use super::canvas::Hit;
use super::msg::Msg;
use super::state::State;
use super::view;

/// Whether the terminal is ours, so that it is given back once.
static OURS: AtomicBool = AtomicBool::new(false);

/// The terminal, while it is ours.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn enter(mouse: bool) -> io::Result<Self> {
        take(mouse)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()));
        match terminal {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws the state; returns what the mouse can hit.
    pub(crate) fn draw(&mut self, state: &State) -> io::Result<Vec<Hit>> {
        let mut hits = Vec::new();
        // Another thread has panicked and given it back: what it says is not drawn over.
        if !OURS.load(Ordering::SeqCst) {
            return Ok(hits);
        }
        execute!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(|frame| {
            hits = view::view(state, frame.buffer_mut());
        })?;
        execute!(io::stdout(), EndSynchronizedUpdate)?;
        Ok(hits)
    }

    /// Draws every cell anew the next time.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        // `Terminal::clear` would ask the terminal for its cursor, and the answer is read elsewhere.
        let size = self.terminal.size()?;
        self.terminal
            .resize(Rect::new(0, 0, size.width, size.height))
    }

    /// Gives the terminal back, stops until the shell lets us go on, and takes it again.
    pub(crate) fn suspend(&mut self, mouse: bool) -> io::Result<()> {
        give_back();
        stop_here()?;
        take(mouse)?;
        self.forget()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Turns the capture of the mouse on or off; off, the terminal itself can select text.
pub(crate) fn capture_mouse(on: bool) -> io::Result<()> {
    if on {
        execute!(io::stdout(), EnableMouseCapture)
    } else {
        execute!(io::stdout(), DisableMouseCapture)
    }
}

fn take(mouse: bool) -> io::Result<()> {
    // Before anything is changed: a panic in between gives it back.
    OURS.store(true, Ordering::SeqCst);
    enable_raw_mode().inspect_err(|_| OURS.store(false, Ordering::SeqCst))?;
    let taken = execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        cursor::Hide
    );
    let taken = taken.and_then(|()| if mouse { capture_mouse(true) } else { Ok(()) });
    if taken.is_err() {
        give_back();
    }
    taken
}

/// Gives the terminal back as it was: at quit, panic, signals and suspension alike.
pub(crate) fn give_back() {
    if !OURS.swap(false, Ordering::SeqCst) {
        return;
    }
    // Each is tried whatever became of the others: the terminal may be gone already.
    let undone = [
        execute!(io::stdout(), EndSynchronizedUpdate, DisableMouseCapture),
        execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen),
        execute!(io::stdout(), cursor::Show),
        disable_raw_mode(),
        io::stdout().flush(),
    ];
    drop(undone);
}

/// Gives the terminal back before a panic is told, and ends the program after it.
pub(crate) fn end_on_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        tell(panic);
        std::process::exit(101);
    }));
}

fn caught() -> SigSet {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTSTP,
    ] {
        signals.add(signal);
    }
    signals
}

/// Turns signals into messages. Must be called before any other thread is started.
pub(crate) fn catch_signals(tell: impl Fn(Msg) -> bool + Send + 'static) -> io::Result<()> {
    let signals = caught();
    signals.thread_block()?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            while let Ok(signal) = signals.wait() {
                let msg = match signal {
                    Signal::SIGTSTP => Msg::Suspend,
                    _ => Msg::Terminate,
                };
                if !tell(msg) {
                    return;
                }
            }
        })?;
    Ok(())
}

/// Stops the whole job as the terminal would; comes back when it is continued.
///
/// The stop signal does nothing where no shell is there to continue it, which is what is wanted.
fn stop_here() -> io::Result<()> {
    let mut stop = SigSet::empty();
    stop.add(Signal::SIGTSTP);
    stop.thread_unblock()?;
    let stopped = kill(Pid::from_raw(0), Signal::SIGTSTP);
    stop.thread_block()?;
    Ok(stopped?)
}
