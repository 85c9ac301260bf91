//! An order from the keys to the socket and back.

use bb_proto::request::{BottleCutoff, Call};

use crate::controller::{Controller, RUN};
use crate::terminal::Terminal;

fn orders(controller: &Controller) -> Vec<BottleCutoff> {
    let orders = controller.asked(|call| match call {
        Call::BottleCutoff(act) => Some(act.clone()),
        _ => None,
    });
    orders.into_iter().map(|(_, act)| act).collect()
}

#[test]
fn two_keys_stop_the_first_to_run_out_while_a_poll_waits() {
    let home = tempfile::tempdir().expect("a directory");
    let controller = Controller::start(home.path());
    let mut terminal = Terminal::start(home.path(), &[]);
    terminal.wait_for("next out: web in 12m");
    controller.wait_for_a_waiting_poll();
    terminal.press("x");
    terminal.wait_for("3 running streams end now and are charged what they used.");
    terminal.press("y");
    terminal.wait_for("cut off web: 3 streams ended in 2 ms, new calls refused");
    terminal.wait_until_gone("Cut off web?");
    let asked = orders(&controller);
    assert_eq!(asked.len(), 2, "{asked:?}");
    let (question, order) = (&asked[0], &asked[1]);
    assert!(question.dry_run && question.request_id.is_none());
    assert!(!order.dry_run && order.request_id.is_some());
    assert_eq!(order.names.len(), 1);
    assert_eq!(order.names[0].as_str(), "web");
    let run = order.expect.as_ref().and_then(|expect| expect.run);
    assert_eq!(run, RUN.parse().ok());
}

#[test]
fn keys_typed_ahead_of_the_answer_are_obeyed() {
    let home = tempfile::tempdir().expect("a directory");
    let controller = Controller::start(home.path());
    let mut terminal = Terminal::start(home.path(), &[]);
    terminal.wait_for("next out: web in 12m");
    terminal.press("xy");
    terminal.wait_for("cut off web: 3 streams ended");
    assert_eq!(
        orders(&controller)
            .iter()
            .filter(|act| !act.dry_run)
            .count(),
        1
    );
}

#[test]
fn read_only_orders_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let controller = Controller::start(home.path());
    let mut terminal = Terminal::start(home.path(), &["--read-only"]);
    terminal.wait_for("· read-only");
    terminal.press("xysy+\re");
    terminal.wait_for("[events]");
    assert!(orders(&controller).is_empty());
    terminal.press("q");
    assert!(terminal.end().0.success());
}
