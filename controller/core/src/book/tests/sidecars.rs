//! Calls that a sidecar meters, and tokens that were spent outside the proxy.

use bb_proto::time::Millis;

use super::script::check;
use super::stage::Stage;
use crate::book::SILENCE_MAX;

#[test]
fn a_sidecars_call_is_reserved_settled_and_taken_back_as_the_proxys_are() {
    check(
        "
        settings host/claude 100
        launch web agent=dev
        reserve 1 web claude 40+10 sidecar => 1 admitted 50   | host 0+50
        reserve 1 web claude 40+10 sidecar => 1 admitted 50   | host 0+50
        sidecar flow 1 40+5        => goes on; 1 marked 45    | host 0+50
        sidecar settle 1 40+20     => charged 60 over 10; 1 charged 60 over 10
                                   | host 60+0, agent:dev 60+0, run:web/claude 60+0
        sidecar settle 1 1+1       => already charged 60 over 10 | host 60+0
        sidecar flow 1 40+30       => already charged 60 over 10
        sidecar void 1             => already charged 60 over 10 | host 60+0
        reserve 2 web claude 20+10 sidecar => 2 admitted 30   | host 60+30
        sidecar void 2             => taken back; 2 voided    | host 60+0
        sidecar void 2             => already taken back
        sidecar settle 2 20+10     => already taken back      | host 60+0
        ",
    );
}

#[test]
fn a_call_of_the_proxy_is_none_of_a_sidecars() {
    check(
        "
        launch web
        reserve 1 web claude 40+10
        sidecar flow 1 40+5        => no sidecar's            | host 0+0
        sidecar settle 1 1+1       => no sidecar's            | host 0+0
        sidecar void 1             => no sidecar's
        spend 1 web claude 5       => request_id_reused
        settle 1 40+10             => 1 charged 50 over 50    | host 50+0
        sidecar settle 1 1+1       => unknown
        spend 1 web claude 5       => request_id_reused       | host 50+0
        sidecar settle 7 1+1       => unknown
        ",
    );
}

#[test]
fn a_sidecar_hears_that_its_call_is_to_end() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 20+10 sidecar
        sidecar flow 1 20+79       => goes on; 1 marked 99
        sidecar flow 1 20+80       => must end: host/claude; web closed: claude by host/claude
                                   => 1 cut by host/claude
        sidecar settle 1 20+1 cut  => charged 100 over 70; 1 charged ~100 over 70
                                   => host/claude spent       | host 100+0
        reserve 2 web claude 20+10 sidecar => 2 refused by host/claude 100/100
                                   => web refusals noted: 1
        settings host/claude 1000
        reserve 3 web claude 20+10 sidecar => 3 admitted 30
        cutoff web                 => done, 1 streams; web closed: operator; 3 cut by operator
        sidecar flow 3 20+5        => must end: operator; 3 marked 25
        sidecar settle 3 nothing cut => charged 25 over 0; 3 charged ~25
        ",
    );
}

#[test]
fn what_a_sidecar_said_last_stands_where_it_says_no_more() {
    check(
        "
        settings host/claude 1000
        launch web
        reserve 1 web claude 40+10 sidecar
        sidecar flow 1 40+30       => goes on; 1 marked 70
        sidecar settle 1 nothing   => charged 70 over 20; 1 charged ~70 over 20
        reserve 2 web claude 40+10 sidecar
        sidecar settle 2 nothing   => charged 40 over 0; 2 charged ~40
        ",
    );
}

#[test]
fn a_sidecar_waits_for_room_no_longer_than_it_wants_to() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 50+10 sidecar => 1 admitted 60
        reserve 2 web claude 50+10 sidecar within=2 => 2 waits
        reserve 3 web claude 50+10 sidecar within=90 => 3 waits
        wait 2                     => web refusals noted: 1
                                   ; 2 refused for room in host/claude 0/100
        wait 27                    =>
        wait 1                     => 3 refused for room in host/claude 0/100
        reserve 2 web claude 50+10 sidecar => 2 waits
        sidecar settle 1 20+10     => charged 30 over 0; 1 charged 30; 2 admitted 60
        withdraw 2 web             =>
        sidecar flow 2 50+1        => goes on; 2 marked 51
        ",
    );
}

#[test]
fn a_call_of_which_nothing_is_heard_is_charged_by_estimate_and_gives_its_tokens_back() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 40+10 sidecar
        reserve 2 web claude 10+10 sidecar
        wait 299
        sidecar flow 2 10+5        => goes on; 2 marked 15
        reserve 3 api claude 20+30 => 3 waits                 | host 0+70
        wait 1                     => 1 charged ~50; given up: web: nothing was heard of a call to \
                                      claude for 5 minutes; charged 50 by estimate | host 50+20
        sidecar settle 1 1+1       => already charged 50 over 0 | host 50+20
        sidecar flow 1 1+1         => already charged 50 over 0
        wait 297
        sidecar settle 2 10+5      => charged 15 over 0; 2 charged 15
        ",
    );
}

#[test]
fn the_book_wakes_for_a_call_of_which_nothing_is_heard() {
    let mut stage = Stage::default();
    stage.run("launch web");
    assert_eq!(stage.book.next_deadline(), None);
    stage.run("reserve 1 web claude 40+10");
    assert_eq!(stage.book.next_deadline(), None);
    stage.run("reserve 2 web claude 40+10 sidecar");
    let due = stage.now.plus(SILENCE_MAX);
    assert_eq!(stage.book.next_deadline(), Some(due));
    stage.run("wait 10");
    stage.run("sidecar flow 2 40+5");
    assert_eq!(
        stage.book.next_deadline(),
        Some(due.plus(Millis(10_000))),
        "it is heard of"
    );
    stage.run("sidecar settle 2 40+5");
    // Only that rates come to rest is left.
    let rest = stage.book.next_deadline().expect("a deadline");
    assert!(rest > due.plus(SILENCE_MAX), "{rest:?}");
}

#[test]
fn an_end_of_the_bottle_is_the_end_of_its_sidecars_calls() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 40+10 sidecar
        reserve 2 web claude 50+10 sidecar => 2 waits
        end web exit=0             => done; web stopped; token bb_1 revoked; 2 refused ended
        reserve 3 web claude 1+1 sidecar => 3 refused ended; web refusals noted: 1
        sidecar settle 1 40+10     => charged 50 over 0; 1 charged 50 | host 50+0
        ",
    );
}

#[test]
fn what_was_spent_outside_is_charged_once_on_every_account_and_judged() {
    check(
        "
        settings host/claude 100 warn=50; bottle web parents=base; weights claude cache=100
        launch web agent=dev
        spend 1 web claude 40 dry  => spent 40                | host 0+0
        spend 1 web claude 40      => spent 40; 1 charged 40 over 40; noted by 7, because
                                   | host 40+0, agent:dev 40+0, bottle:base 40+0, run:web/claude 40+0
        spend 1 web claude 40      => already 40              | host 40+0
        spend 1 web claude 55      => already 40              | host 40+0
        spend 1 web codex 40       => request_id_reused       | host 40+0
        spend 2 web claude 5+5 cache=50 => spent 15; 2 charged 15 over 15; noted by 7, because
                                   => host/claude warned 50   | host 55+0
        reserve 3 web claude 20+10 => 3 admitted 30
        reserve 4 web claude 10+10 => 4 waits
        spend 5 web claude 45      => spent 45; 5 charged 45 over 45; noted by 7, because
                                   => host/claude spent; web closed: claude by host/claude
                                   => web refusals noted: 1; 3 cut by host/claude
                                   => 4 refused by host/claude 100/100 | host 100+30
        spend 6 web claude 5       => spent 5; 6 charged 5 over 5; noted by 7, because
                                                              | host 105+30
        end web exit=0
        spend 7 web claude 5       => spent 5; 7 charged 5 over 5; noted by 7, because
        ",
    );
}

#[test]
fn what_cannot_have_been_spent_is_refused_and_nothing_is_charged() {
    check(
        "
        settings host/claude 100; bottle web parents=base
        launch web
        spend 1 nobody claude 5    => not_found
        spend 1 base claude 5      => not_found
        spend 1 web claude 0       => invalid_params
        spend 1 web claude 9007199254740993 => invalid_params
        spend 1 web claude 0+0     => invalid_params          | host 0+0, bottle:web 0+0
        spend 1 web claude 5       => spent 5; 1 charged 5 over 5; noted by 7, because | host 5+0
        ",
    );
}

#[test]
fn what_was_spent_outside_teaches_nothing() {
    check(
        "
        settings host/claude 100000
        launch web
        reserve 1 web claude 1000+9000 model=opus => 1 admitted 2000
        settle 1 1000+1000
        spend 2 web claude 100+7000 model=opus
        reserve 3 web claude 1000+9000 model=opus => 3 admitted 2000
        restart
        reserve 4 web claude 1000+9000 model=opus => 4 admitted 2000
        ",
    );
}
