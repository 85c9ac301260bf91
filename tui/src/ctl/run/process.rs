//! What the system says of a process.

use std::io;
use std::os::unix::process::parent_id;

use nix::unistd::Pid;

/// Reads when a process started: field 22 of its `stat`, in clock ticks since boot.
pub(super) fn start_ticks(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    field(&stat, 22)
        .and_then(|ticks| ticks.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Returns whether a process is there and has not ended.
pub(super) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !matches!(field(&stat, 3), Some("Z" | "X") | None))
}

/// Returns whether a process group is that of one of our ancestors.
pub(super) fn is_group_of_an_ancestor(group: Pid) -> bool {
    let group = group.to_string();
    let mut pid = parent_id();
    while pid != 0 {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
            return false;
        };
        if field(&stat, 5) == Some(&group) {
            return true;
        }
        pid = field(&stat, 4)
            .and_then(|parent| parent.parse().ok())
            .unwrap_or(0);
    }
    false
}

/// Returns a field of `stat` from the third on, counted from one as `proc(5)` does.
fn field(stat: &str, number: usize) -> Option<&str> {
    // The second field is the name in brackets, and may have brackets and spaces in it.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name
        .split_ascii_whitespace()
        .nth(number.checked_sub(3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        for name in ["claude", "a) S 1 (b", ") )", "日本 語"] {
            let stat = format!("42 ({name}) {rest}");
            assert_eq!(field(&stat, 22), Some("4711"), "{name}");
            assert_eq!(field(&stat, 3), Some("S"), "{name}");
        }
        assert_eq!(field("42 (sh) S 1", 22), None);
        assert_eq!(field("", 3), None);
        assert!(start_ticks(std::process::id()).expect("our own") > 0);
    }

    #[test]
    fn the_groups_of_those_above_us_are_known_and_those_below_are_not() {
        let parent = nix::unistd::getpgid(Some(nix::unistd::getppid())).expect("a group");
        assert!(is_group_of_an_ancestor(parent));
        assert!(!is_group_of_an_ancestor(Pid::from_raw(i32::MAX)));
    }

    #[test]
    fn a_process_that_has_ended_is_not_alive_even_before_it_is_waited_for() {
        assert!(is_alive(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().expect("a child");
        let ended =
            crate::ctl::wait::until(std::time::Duration::from_secs(30), || !is_alive(child.id()));
        assert!(ended);
        child.wait().expect("its end");
    }
}
