//! `bb-ctl watch`.

use bb_proto::ids::BottleName;
use bb_proto::request::EventsWatch;

use super::audit;
use super::connection::Connection;
use super::exit::Outcome;
use super::output::Output;

/// Print events as they happen, one a line, until the controller ends
#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// Only what is about this bottle
    #[arg(long, value_name = "BOTTLE")]
    bottle: Option<BottleName>,
}

impl Watch {
    pub(super) fn run(self, mut connection: Connection, output: Output) -> Outcome {
        connection.call(&EventsWatch {})?;
        loop {
            let notification = connection.next_event()?;
            if notification.lost > 0 {
                output.warn(&format!(
                    "{} events were left out, since they were not read fast enough",
                    notification.lost
                ));
            }
            let event = notification.event;
            if self.bottle.is_none() || event.bottle == self.bottle {
                output.show(&event, audit::line)?;
            }
        }
    }
}
