//! Windows of time: what falls into which, and what follows when one turns.

use super::script::check;

#[test]
fn a_day_that_is_set_at_noon_counts_from_midnight() {
    check(
        "
        launch web
        reserve 1 web claude 30+10
        settle 1 30+10
        wait 43200
        set host/claude/day 100
        budget host/claude/day     => 40 of 100, from command, resets at 86400, pace 800
        unset host/claude/day
        wait 43200
        set host/claude/day 100
        budget host/claude/day     => 0 of 100, from command, resets at 172800
        budget host/claude         => none
        ",
    );
}

#[test]
fn a_window_that_turns_opens_what_it_closed_and_begins_at_nothing() {
    check(
        "
        settings host/claude/day 100 warn=50
        launch web
        wait 80000
        reserve 1 web claude 90+10
        settle 1 90+10             => 1 charged 100; host/claude/day warned 50
                                   => host/claude/day spent; web closed: claude by host/claude/day
        wait 6399                  =>
        reserve 2 web claude 1+0   => 2 refused by host/claude/day 100/100; web refusals noted: 1
        wait 1                     => web open: claude by host/claude/day
        budget host/claude/day     => 0 of 100, from settings, resets at 172800
        reserve 3 web claude 50+0  => 3 admitted 50
        settle 3 50+0              => 3 charged 50; host/claude/day warned 50
        ",
    );
}

#[test]
fn a_charge_falls_into_the_window_of_its_reservation() {
    check(
        "
        settings host/claude/day 100; bottle:web/claude/hour 60
        launch web
        wait 86000
        reserve 1 web claude 20+30 => 1 admitted 50
        wait 400                   =>
        budget host/claude/day     => 0 of 100, from settings, resets at 172800
        reserve 2 web claude 50+1  => 2 admitted 51
        settle 1 20+30             => 1 charged 50
        budget host/claude/day     => 0 of 100, from settings, resets at 172800
        settle 2 50+1              => 2 charged 51
        budget host/claude/day     => 51 of 100, from settings, resets at 172800
        ",
    );
}

#[test]
fn what_is_set_aside_in_a_window_is_not_in_the_next_one() {
    check(
        "
        settings host/claude/hour 100
        launch web
        wait 3590
        reserve 1 web claude 40+60 => 1 admitted 100
        reserve 2 web claude 40+60 => 2 waits
        wait 10                    => 2 admitted 100
        settle 1 40+60             => 1 charged 100
        settle 2 40+10             => 2 charged 50
        budget host/claude/hour    => 50 of 100, from settings, resets at 7200
        ",
    );
}

#[test]
fn what_rolls_forgets_minute_by_minute_and_opens_again() {
    check(
        "
        settings host/claude/rolling_5h 100
        launch web
        reserve 1 web claude 50+10
        settle 1 50+10
        wait 600
        reserve 2 web claude 30+10
        settle 2 30+10             => 2 charged 40; host/claude/rolling 5h spent
                                   => web closed: claude by host/claude/rolling 5h
        wait 17399                 =>
        budget host/claude/rolling_5h => 100 of 100, from settings, spent
        wait 61                    => web open: claude by host/claude/rolling 5h
        budget host/claude/rolling_5h => 40 of 100, from settings
        wait 600                   =>
        budget host/claude/rolling_5h => 0 of 100, from settings
        ",
    );
}

#[test]
fn a_block_begins_with_its_first_call_and_the_next_with_the_first_after_it() {
    check(
        "
        settings host/claude/block_5h 100
        launch web
        wait 7200
        budget host/claude/block_5h => 0 of 100, from settings
        reserve 1 web claude 60+40 => 1 admitted 100; host/claude/block 5h from 7200
        settle 1 60+40             => 1 charged 100; host/claude/block 5h spent
                                   => web closed: claude by host/claude/block 5h
        budget host/claude/block_5h => 100 of 100, from settings, resets at 25200, spent
        wait 17999                 =>
        wait 1                     => web open: claude by host/claude/block 5h
        budget host/claude/block_5h => 0 of 100, from settings
        wait 3600
        reserve 2 web claude 10+0  => 2 admitted 10; host/claude/block 5h from 28800
        settle 2 10+0              => 2 charged 10
        budget host/claude/block_5h => 10 of 100, from settings, resets at 46800
        ",
    );
}

#[test]
fn a_block_that_is_set_later_is_the_one_that_calls_have_begun() {
    check(
        "
        launch web
        wait 3600
        reserve 1 web claude 10+0
        settle 1 10+0
        wait 7200
        set host/claude/block_5h 100 => done; host/claude/block 5h from 3600
        budget host/claude/block_5h => 10 of 100, from command, resets at 21600, pace 250
        ",
    );
}

#[test]
fn several_windows_of_a_scope_bind_together() {
    check(
        "
        settings host/claude/hour 50; host/claude/week 80; host/all/day 1000
        launch web
        reserve 1 web claude 40+10
        settle 1 40+10             => 1 charged 50; host/claude/hour spent
                                   => web closed: claude by host/claude/hour
        wait 3600                  => web open: claude by host/claude/hour
        reserve 2 web claude 20+10
        settle 2 20+10             => 2 charged 30; host/claude/week spent
                                   => web closed: claude by host/claude/week
        wait 3600                  =>
        reserve 3 web claude 1+0   => 3 refused by host/claude/week 80/80; web refusals noted: 1
        reserve 4 web codex 1+0    => 4 admitted 1
        ",
    );
}

#[test]
fn a_clock_that_is_put_back_turns_no_window_twice() {
    check(
        "
        settings host/claude/day 100
        launch web
        reserve 1 web claude 60+0
        settle 1 60+0
        clock 86400                =>
        reserve 2 web claude 70+0
        settle 2 70+0
        budget host/claude/day     => 70 of 100, from settings, resets at 172800
        clock -86400               =>
        reserve 3 web claude 20+0
        settle 3 20+0
        budget host/claude/day     => 90 of 100, from settings, resets at 172800
        wait 86400                 =>
        budget host/claude/day     => 90 of 100, from settings, resets at 172800
        wait 86400                 =>
        budget host/claude/day     => 0 of 100, from settings, resets at 259200
        ",
    );
}

#[test]
fn a_clock_that_was_wrong_by_days_is_not_waited_for() {
    check(
        "
        settings host/claude/day 100
        launch web
        clock 864000               =>
        reserve 1 web claude 60+0
        settle 1 60+0
        clock -864000              =>
        reserve 2 web claude 20+0
        settle 2 20+0
        wait 86400                 =>
        budget host/claude/day     => 0 of 100, from settings, resets at 172800
        ",
    );
}

#[test]
fn days_turn_by_the_zone_through_summer_time() {
    // 2026-03-29 in central Europe has 23 hours: from 1774738800 to 1774821600.
    check(
        "
        settings zone CET-1CEST,M3.5.0,M10.5.0/3; host/claude/day 100; host/claude/day_02:30 100
        clock 1774738800
        launch web
        reserve 1 web claude 60+0
        settle 1 60+0
        budget host/claude/day     => 60 of 100, from settings, resets at 1774821600
        clock 9000                 =>
        budget host/claude/day_02:30 => 0 of 100, from settings, resets at 1774830600
        clock 73799                =>
        budget host/claude/day     => 60 of 100, from settings, resets at 1774821600, pace 606
        clock 1                    =>
        budget host/claude/day     => 0 of 100, from settings, resets at 1774908000
        ",
    );
}

#[test]
fn a_raise_for_a_time_ends_and_may_spend_the_budget_on_the_spot() {
    check(
        "
        settings host/claude 100
        launch web
        raise host/claude 50 for=7200 => done, was 100
        reserve 1 web claude 90+30
        settle 1 90+30
        reserve 2 web claude 5+0   => 2 admitted 5
        wait 7199                  =>
        wait 1                     => host/claude less 50; host/claude spent
                                   => web closed: claude by host/claude
                                   ; 2 cut by host/claude
        budget host/claude         => 120 of 100, from settings, spent
        ",
    );
}

#[test]
fn a_raise_for_once_ends_with_the_window() {
    check(
        "
        settings host/claude/day 100; host/claude/rolling_1h 1000; host/codex 10
        launch web
        wait 60
        raise host/claude/day 50 once => done, was 100
        budget host/claude/day     => 0 of 150, from settings, resets at 86400
        raise host/codex 50 once   => invalid_params
        raise host/claude/rolling_1h 50 once => invalid_params
        raise host/codex 50 for=0  => invalid_params
        wait 86340                 => host/claude/day less 50
        budget host/claude/day     => 0 of 100, from settings, resets at 172800
        ",
    );
}

#[test]
fn a_reset_begins_the_count_anew_and_opens_what_was_closed() {
    check(
        "
        settings host/claude 100 ceiling; bottle:web/claude/day 90
        ; host/claude/rolling_5h 95 ceiling
        launch web
        reserve 1 web claude 60+40
        settle 1 60+40
        reset host/claude dry      => done, was 100
        reset host/claude          => done, was 100; host/claude less 100
                                   ; web open: claude by host/claude
        reset bottle:web/claude/day => done, was 90; bottle:web/claude/day less 100
                                   ; web open: claude by bottle:web/claude/day
        wait 120                   =>
        reset host/claude/rolling_5h => done, was 95, opens web
                                   => host/claude/rolling 5h less 0
                                   => web open: claude by host/claude/rolling 5h
        budget host/claude         => 0 of 100, from settings
        budget host/claude/rolling_5h => 0 of 95, from settings
        reserve 2 web claude 20+0
        settle 2 20+0
        budget host/claude         => 20 of 100, from settings
        budget bottle:web/claude/day => 20 of 90, from settings, resets at 86400
        budget host/claude/rolling_5h => 20 of 95, from settings
        reset host/claude          => done, was 100; host/claude less 120
        budget host/claude         => 0 of 100, from settings | host 120+0
        wait 86400
        budget bottle:web/claude/day => 0 of 90, from settings, resets at 172800
        reset host/gemini          => not_found
        ",
    );
}

#[test]
fn what_was_charged_before_a_reset_and_is_corrected_later_hides_nothing() {
    check(
        "
        settings host/claude 100; host/claude/rolling_5h 1000
        launch web
        reserve 1 web claude 50+0
        settle 1 50+0
        reset host/claude          => done, was 100; host/claude less 50
        reset host/claude/rolling_5h => done, was 1000; host/claude/rolling 5h less 50
        correct 1 10+0             => was 50, is 10; 1 amended 50 to 10; host/claude less 10
                                   => host/claude/rolling 5h less 10
        budget host/claude         => 0 of 100, from settings
        reserve 2 web claude 30+0
        settle 2 30+0
        budget host/claude         => 30 of 100, from settings
        budget host/claude/rolling_5h => 30 of 1000, from settings
        correct 2 20+0             => was 30, is 20; 2 amended 30 to 20
        amend 1 80+0               => 1 amended 10 to 80; host/claude less 80
                                   => host/claude/rolling 5h less 80
        budget host/claude         => 20 of 100, from settings
        ",
    );
}

#[test]
fn a_reset_in_the_minute_of_a_charge_takes_off_what_was_charged_before_it() {
    check(
        "
        settings host/claude/rolling_5h 100
        launch web
        reserve 1 web claude 70+0
        settle 1 70+0
        reset host/claude/rolling_5h => done, was 100; host/claude/rolling 5h less 70
        reserve 2 web claude 20+0
        settle 2 20+0
        budget host/claude/rolling_5h => 20 of 100, from settings
        wait 120
        budget host/claude/rolling_5h => 20 of 100, from settings
        ",
    );
}

#[test]
fn a_correction_counts_where_its_call_was_reserved() {
    check(
        "
        settings host/claude/day 100; host/claude 200
        launch web
        reserve 1 web claude 60+40
        settle 1 60+40
        wait 86400
        correct 1 60+10            => was 100, is 70; 1 amended 100 to 70 | host 70+0
        budget host/claude/day     => 0 of 100, from settings, resets at 172800
        budget host/claude         => 70 of 200, from settings
        correct 1 60+10            => invalid_params
        correct 9 60+10            => not_found
        correct 1 60+190 dry       => was 70, is 250 | host 70+0
        correct 1 60+190           => was 70, is 250; 1 amended 70 to 250; host/claude spent
                                   => web closed: claude by host/claude | host 250+0
        ",
    );
}

#[test]
fn one_call_above_its_limit_is_refused_and_closes_nothing() {
    check(
        "
        settings host/claude 1000 percall=60
        launch web
        reserve 1 web claude 50+11 => 1 refused by host/claude 0/60; web refusals noted: 1
        show web                   => running; 1 refusals; claude bound by host/claude
        reserve 2 web claude 50+10 => 2 admitted 60
        set host/codex 100 soft percall=5 => invalid_params
        set host/codex 100 percall=0 => invalid_params
        ",
    );
}

#[test]
fn use_that_outruns_the_time_is_told_once_a_window() {
    check(
        "
        settings host/claude/day 1000 warn=99
        launch web
        reserve 1 web claude 100+0
        settle 1 100+0             => 1 charged 100
        wait 17280
        reserve 2 web claude 99+0
        settle 2 99+0              => 2 charged 99
        reserve 3 web claude 100+0
        settle 3 100+0             => 3 charged 100; host/claude/day paced
        reserve 4 web claude 100+0
        settle 4 100+0             => 4 charged 100
        wait 86400
        reserve 5 web claude 500+0
        settle 5 500+0             => 5 charged 500; host/claude/day paced
        ",
    );
}
