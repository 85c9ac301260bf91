//! Each screen as it is drawn.

use super::picture;
use crate::dashboard::fixture;

#[test]
fn the_main_screen_says_what_runs_out_next_at_every_size() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        let state = fixture::drawn(fixture::start(width, height));
        insta::assert_snapshot!(format!("main_{width}x{height}"), picture(&state));
    }
}
