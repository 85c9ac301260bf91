//! Whose tokens count where, and which budgets bind a call.

use super::script::check;

#[test]
fn the_nearest_scope_with_a_hard_budget_governs_from_the_launch_to_the_host() {
    check(
        "
        settings agent:dev/claude 200; bottle:web/claude 300; bottle:base/claude 400
               ; bottle:root/claude 500; host/claude 600
               ; bottle web parents=base agent=dev; bottle base parents=root
        launch web budget=claude:100
        show web             => running; claude bound by launch/claude
        end web
        launch web
        show web             => running; claude bound by agent:dev/claude
        settings bottle:web/claude 300; bottle:base/claude 400; bottle:root/claude 500
               ; host/claude 600
        show web             => running; claude bound by bottle:web/claude
        settings bottle:base/claude 400; bottle:root/claude 500; host/claude 600
        show web             => running; claude bound by bottle:base/claude
        settings bottle:root/claude 500; host/claude 600; bottle base parents=root
        show web             => running; claude bound by bottle:root/claude
        settings host/claude 600
        show web             => running; claude bound by host/claude
        settings
        show web             => running
        ",
    );
}

#[test]
fn a_budget_of_a_scope_that_does_not_govern_counts_and_does_not_bind() {
    check(
        "
        settings bottle:web/claude 200; host/claude 50
        launch web
        reserve 1 web claude 90+10 => 1 admitted 100
        settle 1 90+10             => 1 charged 100; host/claude spent   | host/claude 100+0
        reserve 2 web claude 90+10 => 2 admitted 100
        launch api
        reserve 3 api claude 1+1   => 3 refused by host/claude 100/50
                                   => api closed: claude by host/claude; api refusals noted: 1
        unset bottle:web/claude    => wrong_state
        settings host/claude 50    => web closed: claude by host/claude; 2 cut by host/claude
        ",
    );
}

#[test]
fn every_matching_hard_budget_of_the_governing_scope_binds() {
    check(
        "
        settings bottle:web/claude 100; bottle:web/all 130; bottle:web/claude/run 60
        launch web
        reserve 1 web claude 40+10 => 1 admitted 50
        settle 1 40+10             => 1 charged 50
        reserve 2 web claude 10+10 => 2 admitted 10
        void 2
        end web
        launch web
        reserve 3 web codex 30+10  => 3 admitted 40
        settle 3 30+10             => 3 charged 40            | bottle:web 90+0
        reserve 4 web claude 30+20 => 4 admitted 40           | bottle:web 90+40
        ",
    );
}

#[test]
fn all_counts_every_provider_and_governs_like_one() {
    check(
        "
        settings bottle:web/all 100; host/codex 1000
        launch web
        reserve 1 web claude 40+10
        settle 1 40+10             => 1 charged 50
        reserve 2 web codex 40+10
        settle 2 40+10             => 2 charged 50; bottle:web/all spent
                                   => web closed: codex by bottle:web/all
                                   | host/codex 50+0, host/claude 50+0, bottle:web 100+0
        ",
    );
}

#[test]
fn a_soft_budget_warns_and_never_hides_or_blocks() {
    check(
        "
        settings bottle:web/claude 10 soft; agent:dev/claude 10 soft; host/claude 100
        launch web agent=dev budget=codex:5
        show web                   => running; claude bound by host/claude
                                   => codex bound by launch/codex
        reserve 1 web claude 40+10 => 1 admitted 50
        flow 1 40+5                => 1 marked 45
        settle 1 40+10             => 1 charged 50; agent:dev/claude warned 100
                                   => bottle:web/claude warned 100
        reserve 2 web claude 40+10 => 2 admitted 50
        ",
    );
}

#[test]
fn a_ceiling_of_a_wider_scope_binds_whatever_governs() {
    check(
        "
        settings bottle:web/claude 100; bottle:base/claude 90 ceiling; host/all 80 ceiling
               ; host/claude 10; bottle web parents=base
        launch web budget=claude:1000
        launch base
        reserve 1 web claude 40+10 => 1 admitted 50
        reserve 2 base claude 30+0 => 2 admitted 30
        reserve 3 base claude 1+0  => 3 waits
        settle 1 40+10             => 1 charged 50; host/claude spent
        settle 2 30+0              => 2 charged 30; host/all spent
                                   => base closed: claude by host/all
                                   => base refusals noted: 1; 3 refused by host/all 80/80
        reserve 4 web claude 1+0   => 4 refused by host/all 80/80
                                   => web closed: claude by host/all; web refusals noted: 1
        ",
    );
}

#[test]
fn a_charge_counts_on_every_scope_once_also_where_parents_form_a_diamond() {
    check(
        "
        settings host/claude 100; bottle web parents=left,right agent=dev
               ; bottle left parents=root; bottle right parents=root
        launch root
        launch web
        reserve 1 web claude 40+10
        | launch:web 0+50, run:web 0+50, agent:dev 0+50, bottle:web 0+50, bottle:left 0+50
        | bottle:right 0+50, bottle:root 0+50, run:root 0+50, launch:root 0+0, host 0+50
        settle 1 20+5
        | launch:web 25+0, run:web 25+0, agent:dev 25+0, bottle:web 25+0, bottle:left 25+0
        | bottle:right 25+0, bottle:root 25+0, run:root 25+0, launch:root 0+0, host 25+0
        ",
    );
}

#[test]
fn a_parents_budget_is_one_pool_for_itself_and_its_descendants() {
    check(
        "
        settings bottle:root/claude 100; bottle a parents=root; bottle b parents=mid
               ; bottle mid parents=root
        launch a
        launch b
        launch root
        reserve 1 a claude 30+10   => 1 admitted 40
        reserve 2 b claude 30+10   => 2 admitted 40
        reserve 3 root claude 30+10 => 3 waits
        settle 1 50+10             => 1 charged 60 over 20
        settle 2 30+10             => 2 charged 40; bottle:root/claude spent
                                   => b closed: claude by bottle:root/claude
                                   => root closed: claude by bottle:root/claude
                                   => root refusals noted: 1
                                   => 3 refused by bottle:root/claude 100/100
        ",
    );
}

#[test]
fn one_agent_is_one_account_over_all_bottles_that_run_it() {
    check(
        "
        settings agent:dev/claude 100
        launch web agent=dev
        launch api agent=dev
        launch ops agent=ops
        reserve 1 web claude 50+10
        reserve 2 api claude 30+10  => 2 admitted 40
        reserve 3 api claude 1+0    => 3 waits                | agent:dev 0+100
        reserve 4 ops claude 90+90  => 4 admitted 0
        ",
    );
}

#[test]
fn a_total_goes_on_when_a_name_is_launched_again_and_a_run_starts_anew() {
    check(
        "
        settings bottle:web/claude 100; bottle:web/claude/run 60
        launch web budget=codex:50
        reserve 1 web claude 40+10
        settle 1 40+10             => 1 charged 50
        reserve 2 web codex 40+10
        settle 2 40+10             => 2 charged 50; launch/codex warned 95; launch/codex spent
                                   => web closed: codex by launch/codex
        launch web                 => exists
        end web exit=0             => done; web stopped; token bb_1 revoked
        launch web budget=codex:60 => web runs; token bb_3 issued
                                   | launch:web 0+0, run:web 0+0, bottle:web/claude 50+0
        reserve 3 web codex 40+10  => 3 admitted 50
        reserve 4 web claude 51+1  => 4 refused by bottle:web/claude 50/100
                                   => bottle:web/claude spent
                                   => web closed: claude by bottle:web/claude
                                   => web refusals noted: 1
        ",
    );
}

#[test]
fn what_the_last_run_left_open_counts_on_the_name_and_not_on_the_next_run() {
    check(
        "
        settings host/claude 100; bottle:base/claude/run 90
        launch base
        launch web parents=base
        reserve 1 web claude 40+10
        end web
        end base
        launch web parents=base    | launch:web 0+0, run:web 0+0, bottle:web 0+50, run:base 0+50
        launch base                | run:base 0+0, bottle:base 0+50
        flow 1 40+5                => 1 marked 45
        settle 1 40+5              => 1 charged 45
                                   | launch:web 0+0, run:web 0+0, bottle:web 45+0, run:base 0+0
                                   | bottle:base 45+0, host 45+0
        ",
    );
}

#[test]
fn what_a_budget_made_later_counts_was_counted_from_the_start() {
    check(
        "
        launch web agent=dev
        reserve 1 web claude 40+10
        settle 1 40+10
        set host/claude 50         => done; host/claude warned 95; host/claude spent
        set agent:dev/claude 60    => done; agent:dev/claude warned 80
        set bottle:web/claude/run 51 => done; bottle:web/claude/run warned 95
        budget bottle:web/claude/run => 50 of 51, from command, warned [50, 80, 95]
        reserve 2 web claude 10+1  => 2 admitted 10
        ",
    );
}

#[test]
fn a_launch_replaces_what_the_settings_say_and_not_what_was_ordered() {
    check(
        "
        settings agent:dev/claude 10; bottle:web/claude 20; bottle:web/codex 30; host/claude 40
        launch web agent=dev budget=claude:100
        reserve 1 web claude 50+10 => 1 admitted 60
        reserve 2 web codex 31+1   => 2 refused by bottle:web/codex 0/30; bottle:web/codex spent
                                   => web closed: codex by bottle:web/codex; web refusals noted: 1
        settle 1 50+10             => 1 charged 60; launch/claude warned 50
                                   => agent:dev/claude spent; bottle:web/claude spent
                                   => host/claude spent
        set bottle:web/claude 70   => done, was 20; bottle:web/claude warned 80
        reserve 3 web claude 5+15  => 3 admitted 10
        set agent:dev/claude 60    => done, was 10, cuts off web; agent:dev/claude warned 95
                                   => agent:dev/claude spent; web closed: claude by agent:dev/claude
                                   => 3 cut by agent:dev/claude
        set host/claude 50         => done, was 40; host/claude warned 95; host/claude spent
                                   => 3 cut by agent:dev/claude
        unset agent:dev/claude     => done, was 60, opens web; web open: claude by agent:dev/claude
                                   => agent:dev/claude spent
        settle 3 5+2               => 3 charged 7; bottle:web/claude warned 95 | bottle:web 67+0
        reserve 4 web claude 1+9   => 4 admitted 3
        ",
    );
}

#[test]
fn a_run_budget_of_a_parent_that_never_ran_hides_nothing() {
    check(
        "
        settings bottle:base/claude/run 10; host/claude 100; bottle web parents=base
        launch web
        show web                   => running; claude bound by host/claude
        reserve 1 web claude 50+51 => 1 admitted 100
        launch base
        show web                   => running; 1 in flight; claude bound by bottle:base/claude/run
        settle 1 50+51             => 1 charged 101 over 1; host/claude spent | run:base 0+0
        reserve 2 web claude 10+1  => 2 admitted 10
        ",
    );
}
