//! A connection that never waits: a question, its answer, the next question.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use bb_proto::client::{Client, ClientError};
use bb_proto::reply;
use bb_proto::request::{
    AuditList, BottleCutoff, BottleRestore, BottleStop, BudgetRaise, EventsList, Expect, UsageBy,
    UsageQuery,
};

use crate::dashboard::clean::clean;
use crate::dashboard::msg::{Act, Answer, Ask, Deal, Happenings, Msg, Raise};
use crate::dashboard::rows::{Budget, Call, Deed, Failure};

/// Puts questions, one after the other.
pub(crate) struct Asker {
    socket: PathBuf,
    client: Option<Client>,
}

impl Asker {
    pub(crate) fn new(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
            client: None,
        }
    }

    /// Runs until nobody asks or listens any more.
    pub(crate) fn run(mut self, asked: &Receiver<Ask>, tell: &impl Fn(Msg) -> bool) {
        while let Ok(ask) = asked.recv() {
            let answer = self.answer(ask);
            if !tell(Msg::Answer(Box::new(answer))) {
                return;
            }
        }
    }

    fn answer(&mut self, ask: Ask) -> Answer {
        let was_connected = self.client.is_some();
        match self.try_once(&ask) {
            // The connection may have ended long ago; orders have an id and are done once.
            Err(Failure::Broken(_)) if was_connected => self.try_once(&ask),
            other => other,
        }
        .unwrap_or_else(|failure| ask.failed(failure))
    }

    fn try_once(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&self.socket)?,
        };
        let answer = put(&mut client, ask);
        if !matches!(answer, Err(Failure::Broken(_))) {
            self.client = Some(client);
        }
        answer
    }
}

fn put(client: &mut Client, ask: &Ask) -> Result<Answer, Failure> {
    match ask {
        Ask::Act(act) => {
            let acted = order(client, act)?;
            let deed = acted.targets.into_iter().next().map(Deed::from);
            let deed = deed.ok_or_else(|| Failure::Broken(clean!("no target in the answer")))?;
            Ok(Answer::Act(act.clone(), Ok(deed)))
        }
        Ask::Raise(raise) => {
            let changed = client.call(&raise_request(raise))?;
            let budget = changed.budget.map(|told| Box::new(Budget::from(told)));
            Ok(Answer::Raise(raise.clone(), Ok(budget)))
        }
        Ask::Calls { bottle, limit } => {
            let usages = client.call(&UsageQuery {
                bottle: Some(bottle.clone()),
                by: UsageBy::Call,
                limit: Some(*limit),
                ..UsageQuery::default()
            })?;
            let calls = usages.rows.into_iter().filter_map(Call::from_row).collect();
            Ok(Answer::Calls(bottle.clone(), Ok(calls)))
        }
        Ask::Audit { bottle, limit } => {
            let events = client.call(&AuditList {
                bottle: Some(bottle.clone()),
                limit: Some(*limit),
                ..AuditList::default()
            })?;
            Ok(Answer::Audit(bottle.clone(), Ok(happenings(events).rows)))
        }
        Ask::Events {
            before,
            matching,
            limit,
        } => {
            let events = client.call(&EventsList {
                before: *before,
                bottle: None,
                pattern: matching.clone(),
                limit: Some(*limit),
            })?;
            Ok(Answer::Events {
                before: *before,
                matching: matching.clone(),
                result: Ok(happenings(events)),
            })
        }
    }
}

fn happenings(told: reply::Events) -> Happenings {
    Happenings {
        rows: told.events.into_iter().map(Into::into).collect(),
        more: told.more,
    }
}

fn order(client: &mut Client, act: &Act) -> Result<reply::Acted, ClientError> {
    let names = vec![act.target.name.clone()];
    let expect = Some(Expect {
        run: Some(act.target.run),
        revision: None,
    });
    let request_id = (!act.dry_run).then(|| act.request_id.clone());
    let (why, dry_run) = (None, act.dry_run);
    match act.deal {
        Deal::Cutoff => client.call(&BottleCutoff {
            names,
            why,
            expect,
            request_id,
            dry_run,
        }),
        Deal::Restore => client.call(&BottleRestore {
            names,
            why,
            expect,
            request_id,
            dry_run,
        }),
        Deal::Stop => client.call(&BottleStop {
            names,
            why,
            expect,
            request_id,
            dry_run,
        }),
    }
}

fn raise_request(raise: &Raise) -> BudgetRaise {
    BudgetRaise {
        expect: None,
        budget: raise.budget.clone(),
        by: raise.by,
        for_ms: None,
        once: false,
        why: None,
        request_id: Some(raise.request_id.clone()),
        dry_run: false,
    }
}
