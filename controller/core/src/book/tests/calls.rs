//! A call's two phases, and what it is charged.

use super::script::check;

#[test]
fn a_call_is_set_aside_then_charged_once() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 40+10 => 1 admitted 50           | host 0+50, bottle:web 0+50
        settle 1 30+5              => 1 charged 35            | host 35+0, bottle:web 35+0
        settle 1 30+5              => 1 already               | host 35+0
        void 1                     => 1 already               | host 35+0
        reserve 2 web claude 40+10 => 2 admitted 50           | host 35+50
        void 2                     => 2 voided                | host 35+0
        settle 2 30+5              => 2 already               | host 35+0
        settle 9 30+5              => 9 already               | host 35+0
        ",
    );
}

#[test]
fn an_id_that_is_open_or_waits_is_not_taken_twice() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 40+20 => 1 admitted 60           | host 0+60
        reserve 1 web claude 40+20 => 1 admitted 60           | host 0+60
        reserve 2 web claude 40+20 => 2 waits
        reserve 2 web claude 40+20 => 2 waits
        settle 1 5+5               => 1 charged 10; 2 admitted 60 | host 10+60
        settle 2 5+5               => 2 charged 10            | host 20+0
        ",
    );
}

#[test]
fn a_charge_above_what_was_set_aside_is_recorded_in_full() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 10+10 => 1 admitted 20
        settle 1 60+70             => 1 charged 130 over 110; host/claude spent
                                   => web closed: claude by host/claude
                                                              | host 130+0, launch:web 130+0
        reserve 2 web claude 1+1   => 2 refused by host/claude 130/100; web refusals noted: 1
        ",
    );
}

#[test]
fn without_a_budget_everything_is_admitted_and_counted() {
    check(
        "
        launch web agent=dev
        reserve 1 web claude 40+10 => 1 admitted 0            | host 0+0
        flow 1 40+5                => 1 marked 45             | host 0+45
        settle 1 40+10             => 1 charged 50 over 50
                                   | host/claude 50+0, host/codex 0+0, agent:dev 50+0
        ",
    );
}

#[test]
fn an_interrupted_call_is_charged_what_was_stated_or_flowed_and_never_nothing() {
    check(
        "
        settings host/claude 1000
        launch web
        reserve 1 web claude 40+10
        settle 1 ?+0 cut           => 1 charged ~40
        reserve 2 web claude 40+10
        settle 2 ?+7 cut           => 2 charged ~47
        reserve 3 web claude 40+10
        settle 3 30+7 cut          => 3 charged ~37
        reserve 4 web claude 40+10
        settle 4 30+0 cut          => 4 charged ~31           | host 155+0
        ",
    );
}

#[test]
fn what_flows_counts_while_it_flows_and_is_marked_once_a_second() {
    check(
        "
        settings host/claude 1000
        launch web
        reserve 1 web claude 40+10 => 1 admitted 50           | host 0+50
        flow 1 ?+4                 =>                         | host 0+50
        flow 1 40+4                => 1 marked 44             | host 0+50
        flow 1 40+30               =>                         | host 0+70
        wait 1
        flow 1 40+30               => 1 marked 70             | host 0+70
        flow 1 40+20               =>                         | host 0+70
        settle 1 40+40             => 1 charged 80 over 30    | host 80+0
        flow 1 40+50               =>                         | host 80+0
        ",
    );
}

#[test]
fn a_call_is_ended_in_mid_stream_when_what_flowed_fills_a_budget_that_binds_it() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 20+10 => 1 admitted 30
        reserve 2 api claude 20+10 => 2 admitted 30
        flow 1 20+30               => 1 marked 50
        flow 2 20+29               => 2 marked 49
        flow 2 20+30               => api closed: claude by host/claude; 2 cut by host/claude
        settle 2 20+30 cut         => 2 charged ~50 over 20   | host 50+50
        flow 1 20+31               => web closed: claude by host/claude; 1 cut by host/claude
        settle 1 20+31 cut         => 1 charged ~51 over 21; host/claude spent
                                                              | host 101+0
        ",
    );
}

#[test]
fn a_settled_charge_is_corrected_by_a_later_word() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 40+10
        amend 1 40+10              => 1 already
        settle 1 30+7 cut          => 1 charged ~37           | host 37+0
        amend 1 30+7               => 1 amended 37 to 37      | host 37+0
        amend 1 30+7               => 1 already
        amend 1 30+2               => 1 amended 37 to 32      | host 32+0
        amend 1 60+40              => 1 amended 32 to 100; host/claude spent
                                   => web closed: claude by host/claude | host 100+0
        launch api
        reserve 2 api codex 1+0    => 2 admitted 0
        void 2
        amend 2 5+5                => 2 already
        ",
    );
}

#[test]
fn a_correction_downwards_lets_those_pass_who_wait_for_room() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 40+10
        settle 1 40+10
        reserve 2 web claude 20+10 => 2 admitted 30
        reserve 3 api claude 20+10 => 3 waits                 | host 50+30
        amend 1 30+10              => 1 amended 50 to 40; 3 admitted 30 | host 40+60
        ",
    );
}

#[test]
fn weights_change_what_is_charged() {
    check(
        "
        settings host/claude 1000; weights claude cache=100
        launch web
        reserve 1 web claude 40+10 => 1 admitted 50
        settle 1 10+5 cache=1000   => 1 charged 115 over 65   | host 115+0
        reserve 2 web codex 40+10
        settle 2 10+5 cache=1000   => 2 charged 1015 over 1015 | host/codex 1015+0
        ",
    );
}

#[test]
fn a_call_that_asks_for_far_more_than_is_left_is_expected_to_use_what_such_calls_use() {
    check(
        "
        settings host/claude 50000
        launch web
        reserve 1 web claude 20000+64000 => 1 admitted 21000  | host 0+21000
        settle 1 20000+900               => 1 charged 20900
        reserve 2 web claude 20000+64000 => 2 admitted 21000
        reserve 3 web claude 8000+64000  => 3 waits
        settle 2 20000+900               => 2 charged 20900; 3 admitted 8200
                                                              | host 41800+8200
        ",
    );
}

#[test]
fn estimates_follow_what_the_provider_reports_of_a_model() {
    check(
        "
        settings host/claude 100000
        launch web
        reserve 1 web claude 1000+9000 model=opus => 1 admitted 2000
        settle 1 2000+300                         => 1 charged 2300 over 300
        reserve 2 web claude 1000+9000 model=opus => 2 admitted 2300
        settle 2 2000+300 cut                     => 2 charged ~2300
        reserve 3 web claude 1000+9000 model=haiku => 3 admitted 2000
        reserve 4 web claude 1000+100 model=haiku choices=3 => 4 admitted 1300
        ",
    );
}

#[test]
fn hidden_reasoning_is_charged_where_a_call_is_interrupted_and_cuts_none() {
    check(
        "
        settings host/claude 3000
        launch web
        reserve 1 web claude 40+900 model=opus
        settle 1 40+650 hidden=600
        reserve 2 web claude 40+900 model=opus
        settle 2 40+650 hidden=600
        reserve 3 web claude 40+900 model=opus
        settle 3 40+650 hidden=600
        reserve 4 web claude 40+900 model=opus
        settle 4 40+650 hidden=600        => 4 charged 690          | host 2760+0
        reserve 5 web claude 40+900 model=opus => 5 admitted 240
        flow 5 40+50                      => 5 marked 90
        settle 5 40+50 cut                => 5 charged ~690 over 450; host/claude spent
                                          => web closed: claude by host/claude | host 3450+0
        ",
    );
}

#[test]
fn what_output_to_expect_is_known_after_a_restart_and_bytes_a_token_are_learned_anew() {
    check(
        "
        settings host/claude 100000
        launch web
        reserve 1 web claude 1000+9000 model=opus => 1 admitted 2000
        settle 1 2000+300                         => 1 charged 2300 over 300
        reserve 2 web claude 1000+9000 model=opus => 2 admitted 2300
        settle 2 2000+700 cut                     => 2 charged ~2700 over 400
        restart
        reserve 3 web claude 1000+9000 model=opus => 3 admitted 1300
        ",
    );
}

#[test]
fn a_gate_that_is_off_sets_nothing_aside_and_admits_while_anything_is_left() {
    check(
        "
        settings host/claude 100; gate off
        launch web
        reserve 1 web claude 400+10 => 1 admitted 0           | host 0+0
        reserve 2 web claude 400+10 => 2 admitted 0
        settle 1 50+49              => 1 charged 99 over 99
        reserve 3 web claude 400+10 => 3 admitted 0
        settle 2 1+0                => 2 charged 1 over 1; host/claude spent
                                    => web closed: claude by host/claude; 3 cut by host/claude
        reserve 4 web claude 1+1    => 4 refused by host/claude 100/100; web refusals noted: 1
        settings host/claude 200 gate=off
                                    => web open: claude by host/claude
        reserve 5 web claude 400+10 => 5 admitted 0
        ",
    );
}
