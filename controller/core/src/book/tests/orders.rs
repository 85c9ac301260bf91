//! What the operator orders, and what it changes.

use bb_proto::error::ErrorCode;

use super::script::check;
use super::stage::Stage;
use crate::book::Order;

#[test]
fn a_cutoff_by_the_operator_closes_all_egress_until_the_operator_lifts_it() {
    check(
        "
        settings host/claude 100
        launch web
        launch api
        reserve 1 web claude 40+10
        reserve 2 web codex 40+10
        reserve 3 api claude 40+10
        reserve 4 web claude 40+10 => 4 waits
        cutoff web                 => done, 2 streams; web closed: operator; web refusals noted: 1
                                   => 1 cut by operator; 2 cut by operator; 4 refused operator
        show web                   => cutoff; all by operator; 2 in flight; 1 refusals
                                   => claude bound by host/claude
        cutoff web                 => unchanged
        reserve 5 web codex 1+1    => 5 refused operator
        raise host/claude 1000     => done, was 100
        settings
        settle 1 40+2 cut          => 1 charged ~42
        restart
        reserve 6 web codex 1+1    => 6 refused operator; web refusals noted: 1
        restore web                => done; web open: operator
        restore web                => unchanged
        reserve 7 web codex 1+1    => 7 admitted 0
        ",
    );
}

#[test]
fn restore_lifts_the_operators_order_and_no_budgets() {
    check(
        "
        settings host/claude 100
        launch web
        reserve 1 web claude 50+50
        settle 1 50+50             => 1 charged 100; host/claude spent
                                   => web closed: claude by host/claude
        restore web                => over_budget
        cutoff web                 => done; web closed: operator
        reserve 2 web claude 1+1   => 2 refused operator; web refusals noted: 1
        restore web                => done; web open: operator
        show web                   => cutoff; claude by host/claude; 1 refusals
                                   => claude bound by host/claude
        restore web                => over_budget
        ",
    );
}

#[test]
fn a_restore_of_what_is_spent_names_the_command_that_helps() {
    let mut stage = Stage::default();
    for line in [
        "settings host/claude 100",
        "launch web",
        "reserve 1 web claude 50+50",
        "settle 1 50+50",
    ] {
        stage.run(line);
    }
    let name = "web".parse().expect("a name");
    let restored = stage
        .book
        .restore_egress(&name, None, &Order::default(), stage.now);
    let error = restored.expect_err("still spent");
    assert_eq!(error.data.code, ErrorCode::OverBudget);
    assert_eq!(
        error.data.hint.as_deref(),
        Some("bb-ctl budget raise host/claude/total +1M")
    );
}

#[test]
fn an_order_is_for_the_run_and_the_revision_that_were_seen() {
    check(
        "
        launch web
        launch api
        cutoff web run=2           => conflict
        cutoff web run=1 revision=0 => done; web closed: operator
        restore web revision=-2    => conflict
        restore web run=1          => done; web open: operator
        reserve 1 web claude 1+1
        settle 1 1+1
        cutoff web revision=-1     => done; web closed: operator
        reserve 2 web claude 1+1   => 2 refused operator; web refusals noted: 1
        launch ops
        restore web revision=-3    => done; web open: operator
        stop api run=1             => conflict
        remove api run=9           => conflict
        cutoff nobody              => not_found
        ",
    );
}

#[test]
fn a_stopped_bottle_has_no_egress_from_the_moment_of_the_order() {
    check(
        "
        settings host/claude 100
        launch web process
        reserve 1 web claude 40+10
        reserve 2 web claude 40+10 => 2 admitted 50
        reserve 3 web claude 1+1   => 3 waits
        stop web dry               => done, 2 streams
        stop web                   => done, 2 streams; stop ordered; web refusals noted: 1
                                   => 1 cut by operator; 2 cut by operator; 3 refused operator
        reserve 4 web codex 1+1    => 4 refused operator
        stop web dry               => unchanged
        stop web                   => unchanged
        cutoff web                 => done, 2 streams; web closed: operator
                                   => 1 cut by operator; 2 cut by operator
        end web exit=137           => done; web stopped; token bb_1 revoked
        stop web                   => unchanged
        cutoff web                 => wrong_state
        settle 1 40+2 cut          => 1 charged ~42
        end web exit=1             => unchanged
        show web                   => stopped; 1 in flight; 2 refusals; claude bound by host/claude
        remove web dry             => done
        remove web                 => done; web removed
        remove web                 => not_found
        settle 2 40+2 cut          => 2 charged ~42           | host 84+0, bottle:web 84+0
        ",
    );
}

#[test]
fn a_bottle_without_a_process_of_ours_ends_with_the_order() {
    check(
        "
        launch web
        reserve 1 web claude 40+10
        remove web                 => wrong_state
        stop web                   => done, 1 streams; stop ordered; web stopped
                                   => 1 cut by operator; token bb_1 revoked
        reserve 2 web claude 1+1   => 2 refused ended; web refusals noted: 1
        ",
    );
}

#[test]
fn a_run_that_ended_is_told_apart_from_the_one_that_runs() {
    check(
        "
        launch web
        end web exit=0             => done; web stopped; token bb_1 revoked
        launch web                 => web runs; token bb_2 issued
        end web run=1 exit=1       => conflict
        reserve 1 web@1 claude 1+1 => 1 refused ended; web refusals noted: 1
        end web exit=1             => done; web failed; token bb_2 revoked
        show web                   => failed; 1 refusals
        end nobody                 => not_found
        ",
    );
}

#[test]
fn a_bottle_that_asks_for_another_token_keeps_its_run() {
    check(
        "
        launch web budget=claude:100
        launch web dry             => exists
        launch web renew dry       =>
        launch web renew           => token bb_1 revoked; token bb_4 issued
        launch web renew budget=claude:200 => wrong_state
        launch web renew agent=reviewer    => wrong_state
        launch web renew parents=base      => wrong_state
        launch web renew provider=codex    => wrong_state
        launch web renew budget=claude:100 => token bb_4 revoked; token bb_9 issued
        reserve 1 web@1 claude 40+10 => 1 admitted 50
        ",
    );
}

#[test]
fn a_registration_that_makes_no_sense_is_refused() {
    check(
        "
        settings bottle base parents=web
        launch web parents=base        => invalid_params
        launch web parents=web         => invalid_params
        launch web budget=claude:0     => invalid_params
        launch web budget=all:5,all:6  => invalid_params
        launch web budget=all:9007199254740993 => invalid_params
        launch web dry                 =>
        launch web budget=all:9007199254740992 => web runs; token bb_7 issued
        ",
    );
}

#[test]
fn a_budget_set_by_command_stands_until_it_is_unset() {
    check(
        "
        settings host/claude 100; bottle:web/claude 500
        launch web
        set host/claude 50         => done, was 100
        budget host/claude         => 0 of 50, from command, hides settings
        settings host/claude 900
        budget host/claude         => 0 of 50, from command, hides settings
        end web
        launch web budget=all:10000
        restart
        budget host/claude         => 0 of 50, from command, hides settings
        raise host/claude 5        => done, was 50
        set host/claude 70         => done, was 55
        unset host/claude          => done, was 70
        budget host/claude         => 0 of 900, from settings
        unset host/claude          => wrong_state
        unset launch:web/all       => wrong_state
        unset host/codex           => not_found
        raise host/claude 100      => done, was 900
        settings host/claude 800
        budget host/claude         => 0 of 900, from settings
        unset host/claude          => done, was 900
        budget host/claude         => 0 of 800, from settings
        ",
    );
}

#[test]
fn a_budget_that_makes_no_sense_is_refused() {
    check(
        "
        launch web budget=claude:9
        set host/claude 0                => invalid_params
        set host/claude 9007199254740993 => invalid_params
        set host/claude 5 soft ceiling   => invalid_params
        set launch:web/codex 5           => invalid_params
        raise host/claude 5              => not_found
        raise launch:web/claude 0        => invalid_params
        raise launch:web/claude 9007199254740992 => invalid_params
        raise launch:web/claude 5        => done, was 9
        budget host/claude               => none
        ",
    );
}

#[test]
fn a_lower_limit_spends_a_budget_on_the_spot() {
    check(
        "
        settings host/claude 100
        launch web
        launch idle
        reserve 1 web claude 40+10
        settle 1 40+10
        reserve 2 web claude 10+10
        set host/claude 50 dry     => done, was 100, cuts off web
        set host/claude 50         => done, was 100, cuts off web; host/claude warned 95
                                   => host/claude spent; web closed: claude by host/claude
                                   => 2 cut by host/claude
        set host/claude 60 dry     => done, was 50, opens web
        unset host/claude dry      => done, was 50, opens web
        unset host/claude          => done, was 50, opens web; web open: claude by host/claude
        ",
    );
}

#[test]
fn what_a_dry_run_of_a_budget_says_is_what_the_order_does() {
    check(
        "
        settings host/claude 40; bottle:web/claude 100
        launch web
        launch api
        reserve 1 web claude 40+10
        settle 1 40+10             => 1 charged 50; host/claude spent
        reserve 2 web claude 10+10
        set bottle:web/claude 90   => done, was 100; bottle:web/claude warned 50
        reserve 3 api claude 1+1   => 3 refused by host/claude 50/40
                                   => api closed: claude by host/claude; api refusals noted: 1
        set host/claude 45 soft dry => done, was 40, opens api
        set host/claude 45 soft    => done, was 40, opens api; api open: claude by host/claude
                                   => host/claude warned 100
        set agent:dev/claude 1 dry => done
        set bottle:web/claude 45 soft dry => done, was 90
        unset host/claude          => done, was 45; host/claude spent
        set bottle:web/claude 45 soft dry => done, was 90, cuts off web
        set bottle:web/claude 45 soft => done, was 90, cuts off web; bottle:web/claude warned 100
                                   => web closed: claude by host/claude; 2 cut by host/claude
        unset bottle:web/claude dry => done, was 45, opens web
        unset bottle:web/claude    => done, was 45, opens web; web open: claude by host/claude
        raise host/claude 10 dry   => done, was 40
        raise host/claude 11 dry   => done, was 40
        ",
    );
}
