//! The gate `exact`: calls are set aside for the most that they can use, and capped to what is left.

use bb_proto::units::Tokens;

use super::args::parse;
use super::script::check;
use super::stage::Stage;
use crate::book::Check;

#[test]
fn the_most_is_set_aside_and_what_is_asked_for_stays_where_it_fits() {
    check(
        "
        settings gate exact; host/claude 10000
        launch web
        reserve 1 web claude 40+2000 most=160 => 1 admitted 2160          | host 0+2160
        settle 1 40+900                       => 1 charged 940            | host 940+0
        reserve 2 web claude 40+2000 most=160 choices=3 => 2 admitted 6160
        settle 2 160+6000                     => 2 charged 6160           | host 7100+0
        ",
    );
}

#[test]
fn a_call_that_is_alone_is_capped_to_what_is_left() {
    check(
        "
        settings gate exact; host/claude 10000
        launch web
        reserve 1 web claude 40+64000 most=160 => 1 admitted 10000 capped 9840 | host 0+10000
        settle 1 40+960                        => 1 charged 1000
        reserve 2 web claude 40+64000 most=160 choices=2
                                               => 2 admitted 9000 capped 4420
        settle 2 160+8840                      => 2 charged 9000; host/claude spent
                                               => web closed: claude by host/claude
                                                                          | host 10000+0
        ",
    );
}

#[test]
fn a_cap_is_put_in_where_none_is_asked_for() {
    check(
        "
        settings gate exact; host/claude 100000
        launch web
        reserve 1 web claude 40+8192 most=160 unstated => 1 admitted 8352 capped 8192
        ",
    );
}

#[test]
fn a_call_is_left_no_less_than_the_floor_and_what_it_needs_to_think() {
    check(
        "
        settings gate exact; floor 500; host/claude 2000
        launch web
        reserve 1 web claude 40+200 most=1500    => 1 admitted 1700
        settle 1 1200+100                        => 1 charged 1300
        reserve 2 web claude 40+9000 most=200    => 2 admitted 700 capped 500
        void 2
        reserve 3 web claude 40+9000 most=100 thinking=1024
                                                 => 3 refused by host/claude 1300/2000; host/claude spent
                                                 => web closed: claude by host/claude
                                                 => web refusals noted: 1
        ",
    );
}

#[test]
fn calls_beside_others_share_what_is_left_and_none_is_capped_below_a_multiple_of_the_usual() {
    check(
        "
        settings gate exact; floor 100; host/claude 30000
        launch web
        reserve 1 web claude 40+20000 most=100 => 1 admitted 20100
        reserve 2 web claude 40+20000 most=100 => 2 admitted 5000 capped 4900
        reserve 3 web claude 40+20000 most=100 => 3 admitted 4100 capped 4000
        reserve 4 web claude 40+20000 most=100 => 4 waits                 | host 0+29200
        settle 1 40+900 => 1 charged 940; 4 admitted 10030 capped 9930    | host 940+19130
        ",
    );
}

#[test]
fn a_call_that_has_waited_for_long_goes_with_less() {
    check(
        "
        settings gate exact; floor 100; wait 30; host/claude 30000
        launch web
        launch api
        reserve 1 web claude 40+20000 most=100 => 1 admitted 20100
        reserve 2 api claude 40+9000 most=100  => 2 admitted 9100
        reserve 3 web claude 40+20000 most=100 => 3 waits
        show web                               => running; 1 in flight; 1 waiting
                                               => claude bound by host/claude
        wait 29
        reserve 4 api claude 40+9000 most=300  => 4 waits
        wait 1                                 => 3 admitted 450 capped 350
        ",
    );
}

#[test]
fn a_weight_of_output_counts_in_the_cap() {
    check(
        "
        settings gate exact; floor 16; host/claude 1000; weights claude output=3000
        launch web
        reserve 1 web claude 40+9000 most=99 => 1 admitted 999 capped 300
        settle 1 99+300                      => 1 charged 999             | host 999+0
        ",
    );
}

#[test]
fn weights_of_nothing_leave_the_output_as_it_is_asked_for() {
    check(
        "
        settings gate exact; host/claude 1000; weights claude output=0
        launch web
        reserve 1 web claude 40+64000 most=99 => 1 admitted 99
        ",
    );
}

#[test]
fn the_tightest_of_several_budgets_decides_the_cap_and_all_hold() {
    check(
        "
        settings host/claude 9000 ceiling; bottle:web/claude 4000 gate=exact
        launch web
        launch api
        reserve 1 api claude 40+900            => 1 admitted 940
        reserve 2 web claude 40+64000 most=100 => 2 admitted 4000 capped 3900
                                               | host 0+4940, bottle:web 0+4000
        ",
    );
}

#[test]
fn a_gate_is_the_budgets_own_then_the_bottles_then_the_hosts() {
    check(
        "
        settings gate exact; host/claude 50000; bottle base gate=estimate
            ; bottle web parents=base; bottle own gate=exact parents=base; host/codex 50000 gate=off
        launch api
        launch web
        launch own
        reserve 1 api claude 40+4000 most=160  => 1 admitted 4160
        reserve 2 web claude 40+4000 most=160  => 2 admitted 1040
        reserve 3 own claude 40+4000 most=160  => 3 admitted 4160
        reserve 4 api codex 40+4000 most=160   => 4 admitted 0
        ",
    );
}

#[test]
fn what_nothing_bounds_is_refused_and_closes_nothing() {
    check(
        "
        settings gate exact; host/claude 50000
        launch web
        reserve 1 web claude 40+900 => 1 refused as unbounded by host/claude 0/50000
                                    => web refusals noted: 1
        reserve 2 web claude 40+900 most=160 => 2 admitted 1060
        reserve 3 web codex 40+900  => 3 admitted 0
        ",
    );
}

#[test]
fn what_nothing_bounds_is_admitted_by_estimate_where_that_is_said() {
    check(
        "
        settings gate exact; host/claude 50000 lax; host/codex 50000; bottle b lax
        launch a
        launch b
        reserve 1 a claude 40+9000 => 1 admitted 1040 unbounded
        reserve 2 a codex 40+9000  => 2 refused as unbounded by host/codex 0/50000
                                   => a refusals noted: 1
        reserve 3 b codex 40+9000  => 3 admitted 1040 unbounded
        ",
    );
}

#[test]
fn a_call_is_not_ended_where_its_provider_ends_it_in_time() {
    check(
        "
        settings gate exact; floor 16; host/claude 100
        launch web
        reserve 1 web claude 40+900 most=60 => 1 admitted 100 capped 40
        flow 1 40+60                        => 1 marked 80         | host 0+100
        settle 1 60+40                      => 1 charged 100; host/claude spent
                                            => web closed: claude by host/claude
        ",
    );
}

#[test]
fn a_call_that_is_interrupted_is_charged_no_more_than_it_was_granted() {
    check(
        "
        settings gate exact; floor 16; host/claude 1000
        launch web
        reserve 1 web claude 40+100 most=60 => 1 admitted 160
        settle 1 ?+500 cut                  => 1 charged ~140      | host 140+0
        reserve 2 web claude 40+100 most=30 => 2 admitted 130
        settle 2 ?+500 cut                  => 2 charged ~130      | host 270+0
        ",
    );
}

#[test]
fn a_call_that_was_open_at_a_crash_is_charged_what_it_was_granted() {
    check(
        "
        settings gate exact; floor 16; host/claude 1000
        launch web
        reserve 1 web claude 400+100 most=30  => 1 admitted 130    | host 0+130
        restart
        recover                               => 1 charged; 1 charged ~130 | host 130+0
        ",
    );
}

#[test]
fn a_provider_that_does_not_keep_a_cap_is_cut_once_it_says_so() {
    check(
        "
        settings gate exact; floor 16; host/claude 1000
        launch web
        reserve 1 web claude 40+900 most=60 => 1 admitted 960
        flow 1 1100+40                      => 1 marked 1140; web closed: claude by host/claude
                                            => 1 cut by host/claude
        ",
    );
}

#[test]
fn a_call_of_so_many_tokens_is_checked_without_a_cap() {
    let mut stage = Stage::default();
    stage.run("settings gate exact; host/claude 10000");
    stage.run("launch web");
    stage.run("reserve 1 web claude 40+6000 most=100");
    let check = |tokens| {
        let book = &stage.book;
        book.check(&parse("web"), &parse("claude"), Tokens(tokens))
    };
    assert_eq!(check(3_900), Check::Fits);
    assert_eq!(check(3_901), Check::Waits);
    assert!(matches!(check(10_001), Check::Refused(_)));
}

#[test]
fn an_estimate_never_refuses_a_call_that_asks_for_far_more_than_it_uses_nor_one_beside_it() {
    check(
        "
        settings host/claude 6000
        launch web
        reserve 1 web claude 400+64000 most=1600 => 1 admitted 1400
        reserve 2 web claude 400+64000 most=1600 => 2 admitted 1400
        reserve 3 web claude 400+64000           => 3 admitted 1400
        ",
    );
}
