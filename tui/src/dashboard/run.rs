//! The loop: what comes in goes to `update`, what is wanted is done, what changed is drawn.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, MouseButton, MouseEvent, MouseEventKind};

use super::canvas::Hit;
use super::clean::clean;
use super::link::{self, Link};
use super::msg::{Ask, Effect, Msg};
use super::rows::Failure;
use super::state::{Changed, Start, State};
use super::term::{self, Screen};
use super::update::update;

/// How many messages may wait for the main thread.
const INCOMING_MAX: usize = 64;
/// Frames that data ask for are at least this far apart: ten a second at most.
const FRAME_GAP: Duration = Duration::from_millis(100);
/// Time alone does not wake the loop more often than this.
const WAKE_GAP: Duration = Duration::from_millis(20);

/// What comes in: from the terminal, or from everywhere else.
#[derive(Debug)]
enum Incoming {
    Terminal(Event),
    Msg(Msg),
    /// The terminal is gone.
    NoTerminal,
}

/// Runs until the operator leaves; returns the last state.
pub(crate) fn run(start: Start, socket: &Path) -> io::Result<State> {
    let (incoming, messages) = sync_channel(INCOMING_MAX);
    let tell = teller(&incoming);
    term::catch_signals(tell.clone())?;
    term::end_on_panic();
    let link = link::start(socket, tell)?;
    let screen = Screen::enter(start.mouse)?;
    read_terminal(incoming)?;
    let mut looped = Loop {
        began: Instant::now(),
        drawn_at: Duration::ZERO,
        woken_at: Duration::ZERO,
        hits: Vec::new(),
        state: State::new(start),
        screen,
        link,
    };
    looped.go(&messages)?;
    Ok(looped.state)
}

fn teller(incoming: &SyncSender<Incoming>) -> impl Fn(Msg) -> bool + Clone + Send + 'static {
    let incoming = incoming.clone();
    move |msg| incoming.send(Incoming::Msg(msg)).is_ok()
}

fn read_terminal(incoming: SyncSender<Incoming>) -> io::Result<()> {
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            loop {
                let came = event::read().map_or(Incoming::NoTerminal, Incoming::Terminal);
                let is_end = matches!(came, Incoming::NoTerminal);
                if incoming.send(came).is_err() || is_end {
                    return;
                }
            }
        })?;
    Ok(())
}

struct Loop {
    began: Instant,
    drawn_at: Duration,
    woken_at: Duration,
    hits: Vec<Hit>,
    state: State,
    screen: Screen,
    link: Link,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Leave,
}

impl Loop {
    fn go(&mut self, messages: &Receiver<Incoming>) -> io::Result<()> {
        loop {
            if self
                .frame_due()
                .is_some_and(|due| due <= self.began.elapsed())
            {
                self.draw()?;
            }
            let Some(came) = self.wait(messages) else {
                return Ok(());
            };
            if self.take(came)? == Next::Leave {
                return Ok(());
            }
            // What came meanwhile is taken in before anything is drawn.
            for _ in 0..INCOMING_MAX {
                let Ok(came) = messages.try_recv() else {
                    break;
                };
                if self.take(Some(came))? == Next::Leave {
                    return Ok(());
                }
            }
        }
    }

    fn frame_due(&self) -> Option<Duration> {
        match self.state.changed {
            Changed::Nothing => None,
            Changed::Input => Some(Duration::ZERO),
            Changed::Data => Some(self.drawn_at + FRAME_GAP),
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        self.hits = self.screen.draw(&self.state)?;
        self.state.changed = Changed::Nothing;
        self.drawn_at = self.began.elapsed();
        Ok(())
    }

    /// Waits for a message, a frame or a time; `None` where nobody sends any more.
    #[expect(
        clippy::option_option,
        reason = "the outer one is the end, the inner one is a time that came"
    )]
    fn wait(&self, messages: &Receiver<Incoming>) -> Option<Option<Incoming>> {
        let wake = self
            .state
            .next_wake()
            .map(|wake| wake.max(self.woken_at + WAKE_GAP));
        match wake.into_iter().chain(self.frame_due()).min() {
            None => messages.recv().ok().map(Some),
            Some(until) => {
                let wait = until.saturating_sub(self.began.elapsed());
                match messages.recv_timeout(wait) {
                    Ok(came) => Some(Some(came)),
                    Err(RecvTimeoutError::Timeout) => Some(None),
                    Err(RecvTimeoutError::Disconnected) => None,
                }
            }
        }
    }

    fn take(&mut self, came: Option<Incoming>) -> io::Result<Next> {
        self.woken_at = self.began.elapsed();
        let mut effects = update(&mut self.state, Msg::At(self.woken_at));
        let msg = match came {
            None => None,
            Some(Incoming::NoTerminal) => return Ok(Next::Leave),
            Some(Incoming::Msg(msg)) => Some(msg),
            Some(Incoming::Terminal(event)) => self.translate(event),
        };
        if let Some(msg) = msg {
            effects.extend(update(&mut self.state, msg));
        }
        self.carry_out(effects)
    }

    fn translate(&self, event: Event) -> Option<Msg> {
        match event {
            Event::Key(key) => Some(Msg::Key(key)),
            Event::Paste(text) => Some(Msg::Paste(text)),
            Event::Resize(width, height) => Some(Msg::Resize { width, height }),
            Event::Mouse(mouse) => self.mouse(mouse),
            Event::FocusGained | Event::FocusLost => None,
        }
    }

    fn mouse(&self, mouse: MouseEvent) -> Option<Msg> {
        let hit = Hit::find(&self.hits, mouse.column, mouse.row).cloned();
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => hit.map(Msg::Click),
            MouseEventKind::ScrollDown => Some(Msg::Wheel {
                down: true,
                over: hit,
            }),
            MouseEventKind::ScrollUp => Some(Msg::Wheel {
                down: false,
                over: hit,
            }),
            _ => None,
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> io::Result<Next> {
        for effect in effects {
            match effect {
                Effect::Ask(ask) => self.ask(ask)?,
                Effect::Reconnect(after) => self.link.reconnect(after),
                Effect::Mouse(on) => term::capture_mouse(on)?,
                Effect::Redraw => self.redraw()?,
                Effect::Suspend => {
                    self.screen.suspend(self.state.start.mouse)?;
                    let (width, height) = crossterm::terminal::size()?;
                    self.redraw()?;
                    let more = update(&mut self.state, Msg::Resize { width, height });
                    self.carry_out(more)?;
                }
                Effect::Quit => return Ok(Next::Leave),
            }
        }
        Ok(Next::GoOn)
    }

    fn redraw(&mut self) -> io::Result<()> {
        self.screen.forget()?;
        self.state.changed = Changed::Input;
        Ok(())
    }

    fn ask(&mut self, ask: Ask) -> io::Result<()> {
        let Err(refused) = self.link.ask(ask) else {
            return Ok(());
        };
        let failure = Failure::Unasked(clean!("too much waits for an answer already"));
        let answer = Msg::Answer(Box::new(refused.failed(failure)));
        let effects = update(&mut self.state, answer);
        self.carry_out(effects).map(|_| ())
    }
}
