//! Calls that wait for room.

use bb_proto::time::Timestamp;

use super::args::parse;
use super::script::check;
use super::stage::Stage;

#[test]
fn a_second_call_waits_for_room_instead_of_being_refused() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 50+10 => 1 admitted 60
        reserve 2 web claude 50+10 => 2 waits                 | host 0+60
        show web                   => running; 1 in flight; 1 waiting; claude bound by host/claude
        settle 1 20+10             => 1 charged 30; 2 admitted 60 | host 30+60
        reserve 3 web claude 30+10 => 3 waits
        void 2                     => 2 voided; 3 admitted 40 | host 30+40
        ",
    );
}

#[test]
fn a_call_that_what_is_posted_leaves_no_room_for_is_refused_at_once() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 50+10
        settle 1 50+10             => 1 charged 60
        reserve 2 web claude 20+10 => 2 admitted 30
        reserve 3 web claude 30+10 => 3 waits
        reserve 4 web claude 41+10 => 4 refused for room in host/claude 60/100
                                   => web refusals noted: 1
        settle 2 35+0              => 2 charged 35 over 5; host/claude spent
                                   => web closed: claude by host/claude
                                   => 3 refused by host/claude 95/100
        ",
    );
}

#[test]
fn calls_of_a_bottle_are_admitted_in_the_order_they_came() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 70+10 => 1 admitted 80
        reserve 2 web claude 50+10 => 2 waits
        reserve 3 web claude 5+5   => 3 waits
        reserve 4 web claude 5+6   => 4 waits
        settle 1 10+0              => 1 charged 10; 2 admitted 60; 3 admitted 10; 4 admitted 11
        ",
    );
}

#[test]
fn a_call_waits_behind_another_only_where_one_budget_binds_both() {
    check(
        "
        settings host/claude 100; host/codex 100
        launch web
        reserve 1 web claude 70+10
        reserve 2 web claude 50+10 => 2 waits
        reserve 3 web codex 50+10  => 3 admitted 60
        reserve 4 web gemini 5+5   => 4 admitted 0
        reserve 5 web codex 50+10  => 5 waits
        settle 3 5+5               => 3 charged 10; 5 admitted 60
        ",
    );
}

#[test]
fn a_call_of_another_bottle_that_fits_does_not_wait_for_those_that_do_not() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 70+10
        reserve 2 web claude 50+10 => 2 waits
        reserve 3 api claude 5+5   => 3 admitted 10
        ",
    );
}

#[test]
fn bottles_are_served_in_turn() {
    check(
        "
        settings host/claude 100
        launch a
        launch b
        launch c
        reserve 1 a claude 80+10   => 1 admitted 90
        reserve 11 a claude 70+10  => 11 waits
        reserve 12 a claude 70+10  => 12 waits
        reserve 21 b claude 70+10  => 21 waits
        reserve 22 b claude 70+10  => 22 waits
        reserve 31 c claude 70+10  => 31 waits
        void 1                     => 1 voided; 11 admitted 80
        void 11                    => 11 voided; 21 admitted 80
        void 21                    => 21 voided; 31 admitted 80
        void 31                    => 31 voided; 12 admitted 80
        void 12                    => 12 voided; 22 admitted 80
        ",
    );
}

#[test]
fn one_that_makes_room_for_several_lets_one_of_each_bottle_pass_first() {
    check(
        "
        settings host/claude 100
        launch a
        launch b
        reserve 1 a claude 80+10
        reserve 11 a claude 30+10  => 11 waits
        reserve 12 a claude 30+10  => 12 waits
        reserve 21 b claude 30+10  => 21 waits
        void 1                     => 1 voided; 11 admitted 40; 21 admitted 40
        ",
    );
}

#[test]
fn a_wait_ends_with_a_refusal() {
    check(
        "
        settings host/claude 100; wait 30
        launch web
        launch api
        reserve 1 web claude 70+10
        reserve 2 web claude 50+10 => 2 waits
        wait 10
        reserve 3 web claude 10+10 => 3 waits
        reserve 4 api claude 20+10 => 4 waits
        wait 19                    =>
        wait 1                     => web refusals noted: 1; 2 refused for room in host/claude 0/100
                                   => 3 admitted 20
        wait 10                    => api refusals noted: 1; 4 refused for room in host/claude 0/100
        wait 100                   =>
        ",
    );
}

#[test]
fn a_call_that_gives_up_waiting_makes_room_for_those_behind_it() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 70+10
        reserve 2 web claude 50+10 => 2 waits
        reserve 3 web claude 5+5   => 3 waits
        withdraw 2 web             => 3 admitted 10
        withdraw 2 web             =>
        withdraw 1 web             =>                         | host 0+90
        ",
    );
}

#[test]
fn those_who_wait_are_refused_when_their_bottle_ends() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 api claude 70+10
        reserve 2 web claude 50+10 => 2 waits
        reserve 3 web claude 5+5   => 3 waits
        end web                    => done; web stopped; token bb_1 revoked
                                   => 2 refused ended; 3 refused ended
        settle 1 1+1               => 1 charged 2
        ",
    );
}

#[test]
fn those_who_wait_are_refused_when_the_budget_is_spent() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 70+10
        reserve 2 web claude 50+10 => 2 waits
        reserve 3 api claude 50+10 => 3 waits
        reserve 4 api codex 50+10  => 4 admitted 0
        settle 1 50+50             => 1 charged 100 over 20; host/claude spent
                                   => web closed: claude by host/claude
                                   => api closed: claude by host/claude
                                   => api refusals noted: 1; web refusals noted: 1
                                   => 3 refused by host/claude 100/100
                                   => 2 refused by host/claude 100/100
        ",
    );
}

#[test]
fn those_who_wait_pass_when_a_budget_is_raised_or_goes() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 70+10
        reserve 2 web claude 50+10 => 2 waits
        reserve 3 web claude 50+10 => 3 waits
        raise host/claude 40       => done, was 100; 2 admitted 60
        settings                   => 3 admitted 0
        ",
    );
}

#[test]
fn those_who_wait_are_bound_by_the_budgets_as_they_are_now() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 70+10
        reserve 2 web claude 50+10 => 2 waits
        reserve 3 web claude 5+5   => 3 waits
        settings host/claude 100; bottle:web/claude 85
                                   =>
        reserve 4 api claude 10+10 => 4 admitted 20
        settle 1 30+0              => 1 charged 30; 2 admitted 55
        ",
    );
}

#[test]
fn a_background_call_is_refused_where_a_hard_budget_binds_it() {
    check(
        "
        settings host/claude 100; host/codex 1 soft
        launch web
        reserve 1 web claude 5+5 background => 1 refused background; web refusals noted: 1
        reserve 2 web codex 5+5 background  => 2 admitted 0
        ",
    );
}

#[test]
fn refusals_are_counted_and_put_down_once_a_minute() {
    check(
        "
        launch web
        cutoff web
        reserve 1 web claude 1+1   => 1 refused operator; web refusals noted: 1
        reserve 2 web claude 1+1   => 2 refused operator
        wait 30
        reserve 3 web claude 1+1   => 3 refused operator
        wait 29
        reserve 4 web claude 1+1   => 4 refused operator
        wait 1
        reserve 5 web claude 1+1   => 5 refused operator; web refusals noted: 4
        reserve 6 web claude 1+1   => 6 refused operator
        show web                   => cutoff; all by operator; 6 refusals
        ",
    );
}

#[test]
fn a_wait_lasts_as_long_whatever_the_clock_is_set_to() {
    check(
        "
        settings host/claude 100; wait 5
        launch web
        reserve 1 web claude 60+10
        reserve 2 web claude 30+10 => 2 waits
        clock 86400                =>
        wait 4                     =>
        clock -90000               =>
        wait 1                     => web refusals noted: 1; 2 refused for room in host/claude 0/100
        ",
    );
}

#[test]
fn the_call_that_waits_longest_says_since_when_and_how_long_it_may() {
    let mut stage = Stage::default();
    for line in [
        "settings host/claude 100; wait 30",
        "launch web",
        "launch api",
        "reserve 1 web claude 50+10",
        "wait 5",
        "reserve 2 web claude 50+10",
        "wait 4",
        "reserve 3 web claude 50+10",
        "reserve 4 api claude 50+10",
        "wait 1",
    ] {
        stage.run(line);
    }
    let seconds = |seconds: i64| Some(Timestamp(seconds.saturating_mul(1_000)));
    let shown = |name: &str| stage.book.bottle_view(&parse(name), stage.now);
    let of = |name: &str| (shown(name).waiting_since, shown(name).waits_until);
    assert_eq!(of("web"), (seconds(5), seconds(35)));
    assert_eq!(of("api"), (seconds(9), seconds(39)));
    assert_eq!(stage.book.totals(stage.now).waiting_since, seconds(5));
    stage.run("withdraw 2 web");
    assert_eq!(stage.book.totals(stage.now).waiting_since, seconds(9));
    stage.run("void 1");
    let nobody = stage.book.totals(stage.now);
    assert_eq!((nobody.waiting, nobody.waiting_since), (1, seconds(9)));
}
