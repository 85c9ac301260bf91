//! What happens when a budget is spent, and when it has room again.

use bb_proto::event::EventKind;

use super::script::check;
use super::stage::Stage;
use crate::book::Entry;

#[test]
fn a_budget_is_spent_when_what_is_posted_reaches_its_limit() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 50+49 => 1 admitted 99
        settle 1 50+49             => 1 charged 99
        reserve 2 web claude 1+0   => 2 admitted 1
        settle 2 1+0               => 2 charged 1; host/claude spent
                                   => web closed: claude by host/claude
        show web                   => cutoff; claude by host/claude; claude bound by host/claude
        budget host/claude         => 100 of 100, from settings, spent
        reserve 3 web claude 1+0   => 3 refused by host/claude 100/100; web refusals noted: 1
        ",
    );
}

#[test]
fn a_call_that_does_not_fit_although_nothing_is_pending_spends_the_budget() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 60+1  => 1 admitted 61
        settle 1 60+1              => 1 charged 61
        reserve 2 web claude 40+1  => 2 refused by host/claude 61/100; host/claude spent
                                   => web closed: claude by host/claude; web refusals noted: 1
        reserve 3 web claude 1+1   => 3 refused by host/claude 61/100
        reserve 4 api claude 1+1   => 4 admitted 2
        ",
    );
}

#[test]
fn a_call_alone_whose_input_fits_is_admitted_with_what_is_left() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 60+1
        settle 1 60+0              => 1 charged 60
        reserve 2 web claude 40+900 => 2 admitted 40          | host 60+40
        flow 2 40+0                => 2 marked 41
                                   => web closed: claude by host/claude; 2 cut by host/claude
        settle 2 40+0 cut          => 2 charged ~41 over 1; host/claude spent
        ",
    );
}

#[test]
fn a_cutoff_by_a_budget_closes_one_provider_and_others_pass() {
    check(
        "
        settings host/claude 100; host/codex 100
        launch web
        reserve 1 web claude 50+50
        settle 1 50+50             => 1 charged 100; host/claude spent
                                   => web closed: claude by host/claude
        reserve 2 web codex 50+10  => 2 admitted 60
        reserve 3 web gemini 50+10 => 3 admitted 0
        show web
                                   => cutoff; claude by host/claude; 2 in flight
                                   => claude bound by host/claude; codex bound by host/codex
        ",
    );
}

#[test]
fn a_budget_for_all_closes_each_provider_at_its_next_attempt() {
    check(
        "
        settings host/all 100
        launch web
        reserve 1 web claude 50+10
        reserve 2 web codex 30+10
        settle 1 50+10             => 1 charged 60
        settle 2 30+10             => 2 charged 40; host/all spent; web closed: codex by host/all
        reserve 3 web claude 1+1   => 3 refused by host/all 100/100
                                   => web closed: claude by host/all; web refusals noted: 1
        ",
    );
}

#[test]
fn a_shared_budget_ends_every_call_in_flight_that_it_binds_and_the_idle_are_struck_later() {
    check(
        "
        settings host/claude 100; bottle:own/claude 1000
        launch web
        launch api
        launch idle
        launch own
        reserve 1 web claude 10+10
        reserve 2 web claude 10+10
        reserve 3 api claude 10+10
        reserve 4 own claude 10+10
        reserve 5 api codex 10+10
        settle 1 10+90             => 1 charged 100 over 80; host/claude spent
                                   => api closed: claude by host/claude
                                   => web closed: claude by host/claude
                                   => 2 cut by host/claude; 3 cut by host/claude
        settle 2 10+5 cut          => 2 charged ~15
        settle 3 10+5 cut          => 3 charged ~15           | host/claude 130+20
        reserve 6 idle claude 1+1  => 6 refused by host/claude 130/100
                                   => idle closed: claude by host/claude; idle refusals noted: 1
        settle 4 10+10             => 4 charged 20            | host/claude 150+0
        reserve 7 own claude 1+1   => 7 admitted 2
        ",
    );
}

#[test]
fn calls_in_flight_may_finish_where_the_settings_say_so() {
    check(
        "
        settings host/claude 100; finish
        launch web
        launch api
        reserve 1 web claude 10+10
        reserve 2 api claude 10+10
        flow 2 10+95               => 2 marked 105
        settle 1 10+90             => 1 charged 100 over 80; host/claude spent
                                   => api closed: claude by host/claude
                                   => web closed: claude by host/claude
        reserve 3 api claude 1+1   => 3 refused by host/claude 100/100; api refusals noted: 1
        settle 2 10+95             => 2 charged 105 over 85
        ",
    );
}

#[test]
fn a_raise_opens_what_the_budget_closed() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 50+50
        reserve 2 api claude 10+10 => 2 waits
        settle 1 50+50             => 1 charged 100; host/claude spent
                                   => web closed: claude by host/claude
                                   => api closed: claude by host/claude; api refusals noted: 1
                                   => 2 refused by host/claude 100/100
        raise host/claude 50       => done, was 100, opens api,web
                                   => api open: claude by host/claude
                                   => web open: claude by host/claude
        budget host/claude         => 100 of 150, from settings
        reserve 3 web claude 10+10 => 3 admitted 20
        reserve 4 api claude 10+10 => 4 admitted 20
        ",
    );
}

#[test]
fn a_raise_that_leaves_no_room_opens_nothing() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 50+10
        settle 1 50+150            => 1 charged 200 over 140; host/claude spent
                                   => web closed: claude by host/claude
        raise host/claude 100      => done, was 100; host/claude spent
        raise host/claude 1        => done, was 200, opens web; web open: claude by host/claude
        ",
    );
}

#[test]
fn what_did_not_fit_is_open_again_once_the_limit_is_raised() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 101+1 => 1 refused by host/claude 0/100; host/claude spent
                                   => web closed: claude by host/claude; web refusals noted: 1
        settings host/claude 100; host/codex 100
                                   =>
        raise host/claude 1        => done, was 100, opens web; web open: claude by host/claude
        reserve 2 web claude 101+1 => 2 admitted 101
        ",
    );
}

#[test]
fn a_correction_downwards_opens_what_was_closed_and_one_upwards_closes() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 40+10
        settle 1 30+7 cut          => 1 charged ~37
        amend 1 60+40              => 1 amended 37 to 100; host/claude spent
                                   => web closed: claude by host/claude
        amend 1 60+39              => 1 amended 100 to 99; web open: claude by host/claude
        reserve 2 web claude 1+0   => 2 admitted 1
        ",
    );
}

#[test]
fn what_did_not_fit_is_open_again_after_a_raise_once_others_have_less() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 40+10
        settle 1 40+10
        reserve 2 api claude 51+1  => 2 refused by host/claude 50/100; host/claude spent
                                   => api closed: claude by host/claude; api refusals noted: 1
        amend 1 80+40              => 1 amended 50 to 120
                                   => web closed: claude by host/claude
        raise host/claude 10       => done, was 100; host/claude spent
        amend 1 40+10              => 1 amended 120 to 50; api open: claude by host/claude
                                   => web open: claude by host/claude
        ",
    );
}

#[test]
fn a_stream_that_seemed_to_cross_and_did_not_leaves_the_bottle_open() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 40+10
        flow 1 40+60               => 1 marked 100
                                   => web closed: claude by host/claude; 1 cut by host/claude
        settle 1 40+50             => 1 charged 90 over 40; web open: claude by host/claude
        reserve 2 web claude 1+0   => 2 admitted 1
        ",
    );
}

#[test]
fn a_bottle_that_two_budgets_close_is_open_when_both_have_room() {
    check(
        "
        settings bottle:web/claude 100; host/claude 100 ceiling
        launch web
        reserve 1 web claude 50+50
        settle 1 50+50             => 1 charged 100
                                   => bottle:web/claude spent
                                   => web closed: claude by bottle:web/claude
                                   => host/claude spent
                                   => web closed: claude by host/claude
        raise host/claude 10       => done, was 100; web open: claude by host/claude
        reserve 2 web claude 1+1   => 2 refused by bottle:web/claude 100/100; web refusals noted: 1
        raise bottle:web/claude 10 => done, was 100, opens web
                                   => web open: claude by bottle:web/claude
        reserve 3 web claude 1+1   => 3 admitted 2
        ",
    );
}

#[test]
fn the_run_of_a_parent_that_begins_anew_opens_what_its_last_run_closed() {
    check(
        "
        settings bottle:base/claude/run 100
        launch base
        launch web parents=base
        launch api parents=base
        reserve 1 web claude 50+50
        reserve 2 api claude 10+10 => 2 waits
        settle 1 50+50             => 1 charged 100; bottle:base/claude/run spent
                                   => web closed: claude by bottle:base/claude/run
                                   => api closed: claude by bottle:base/claude/run
                                   => api refusals noted: 1
                                   => 2 refused by bottle:base/claude/run 100/100
        end base
        reserve 3 api claude 1+1   => 3 refused by bottle:base/claude/run 100/100
        launch base                => base runs; api open: claude by bottle:base/claude/run
                                   => web open: claude by bottle:base/claude/run
                                   => token bb_4 issued       | run:base 0+0, bottle:base 100+0
        budget bottle:base/claude/run => 0 of 100, from settings
        reserve 4 api claude 10+10 => 4 admitted 20           | run:base 0+20
        ",
    );
}

#[test]
fn what_did_not_fit_into_the_last_run_of_a_parent_is_open_in_the_next() {
    check(
        "
        settings bottle:base/claude/run 100; host/claude 1000 ceiling
        launch base
        launch web parents=base
        reserve 1 base claude 50+10
        settle 1 50+10
        reserve 2 web claude 41+1  => 2 refused by bottle:base/claude/run 60/100
                                   => bottle:base/claude/run spent
                                   => web closed: claude by bottle:base/claude/run
                                   => web refusals noted: 1
        raise host/claude 1        => done, was 1000
        end base
        launch base                => base runs; web open: claude by bottle:base/claude/run
                                   => token bb_3 issued
        reserve 3 web claude 41+1  => 3 admitted 42
        ",
    );
}

#[test]
fn those_who_wait_pass_when_the_run_of_a_parent_begins_anew() {
    check(
        "
        settings bottle:base/claude/run 100
        launch base
        launch web parents=base
        launch api parents=base
        reserve 1 web claude 50+40
        reserve 2 api claude 10+10 => 2 waits
        end base                   => done; base stopped; token bb_1 revoked
        launch base                => base runs; token bb_4 issued; 2 admitted 20
                                   | run:base 0+20, bottle:base 0+110
        settle 1 50+40             => 1 charged 90            | run:base 0+20, bottle:base 90+20
        ",
    );
}

#[test]
fn each_level_warns_once_for_a_limit_and_not_again_after_a_restart() {
    check(
        "
        settings host/claude 100 warn=50,80; bottle:web/claude 50 soft warn=50
        launch web
        reserve 1 web claude 40+10
        settle 1 40+9              => 1 charged 49; bottle:web/claude warned 50
        reserve 2 web claude 40+10
        settle 2 1+0               => 2 charged 1
                                   => bottle:web/claude warned 100; host/claude warned 50
        restart
        reserve 3 web claude 1+1
        settle 3 1+1               => 3 charged 2
        reserve 4 web claude 40+1
        settle 4 40+8              => 4 charged 48 over 7; host/claude warned 80; host/claude spent
                                   => web closed: claude by host/claude
        budget host/claude         => 100 of 100, from settings, warned [50, 80], spent
        raise host/claude 10       => done, was 100, opens web; web open: claude by host/claude
                                   => host/claude warned 80
        budget host/claude         => 100 of 110, from settings, warned [50, 80]
        ",
    );
}

#[test]
fn what_is_put_down_of_a_refusal_has_every_budget_on_its_way() {
    let mut stage = Stage::default();
    for line in [
        "settings host/claude/day 100; bottle:web/claude 50; host/all 500 soft",
        "launch web",
        "reserve 1 web claude 40+20",
        "settle 1 40+20",
        "reserve 2 web claude 1+0",
    ] {
        stage.run(line);
    }
    let refused = stage.outbox.entries.iter().find_map(|entry| match entry {
        Entry::Happened(event) if event.kind == EventKind::Refused => event.explained.clone(),
        _ => None,
    });
    let budgets = refused.expect("an explanation").budgets.into_iter();
    let told: Vec<String> = budgets
        .map(|it| {
            let budget = it.budget;
            format!(
                "{} {:?} {}/{} left {}",
                budget.id, it.role, budget.used, budget.limit, it.left
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "bottle:web/claude/total Binds 60/50 left 0",
            "host/all/total Soft 60/500 left 440",
            "host/claude/day Counted 60/100 left 40",
        ]
    );
}
