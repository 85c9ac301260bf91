//! Finding executables.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The controller's executable.
pub(super) const CONTROLLER: &str = "bb-controller";

/// What a search for a program came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    At(PathBuf),
    /// A file of that name is there, but it cannot be executed.
    NotExecutable(PathBuf),
    Nowhere,
}

/// Finds a program as `execvp` would: as a path where it has a slash, else on `path`.
pub(super) fn find(program: &OsStr, path: Option<&OsStr>) -> Found {
    if program.as_encoded_bytes().contains(&b'/') {
        return look_at(PathBuf::from(program));
    }
    let mut found = Found::Nowhere;
    for directory in path.map(std::env::split_paths).into_iter().flatten() {
        // An empty entry is the working directory.
        let directory = if directory.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            directory
        };
        match look_at(directory.join(program)) {
            at @ Found::At(_) => return at,
            not @ Found::NotExecutable(_) if found == Found::Nowhere => found = not,
            _ => {}
        }
    }
    found
}

fn look_at(path: PathBuf) -> Found {
    match std::fs::metadata(&path) {
        Err(_) => Found::Nowhere,
        Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => {
            Found::At(path)
        }
        Ok(_) => Found::NotExecutable(path),
    }
}

/// Finds the controller: beside our own executable, else on `PATH`.
pub(super) fn controller() -> Option<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .as_deref()
        .and_then(Path::parent)
        .map(|directory| look_at(directory.join(CONTROLLER)));
    if let Some(Found::At(path)) = beside {
        return Some(path);
    }
    match find(OsStr::new(CONTROLLER), std::env::var_os("PATH").as_deref()) {
        Found::At(path) => Some(path),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, mode: u32) {
        std::fs::write(path, "").expect("a file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    }

    #[test]
    fn a_program_is_found_where_execvp_would_find_it() {
        let home = tempfile::tempdir().expect("a directory");
        let (first, second) = (home.path().join("1"), home.path().join("2"));
        for directory in [&first, &second] {
            std::fs::create_dir(directory).expect("a directory");
        }
        file(&first.join("tool"), 0o644);
        file(&second.join("tool"), 0o755);
        file(&first.join("text"), 0o644);
        let path = std::env::join_paths([&first, &second]).expect("a path");
        let find = |name: &str| find(OsStr::new(name), Some(&path));
        assert_eq!(find("tool"), Found::At(second.join("tool")));
        assert_eq!(find("text"), Found::NotExecutable(first.join("text")));
        assert_eq!(find("none"), Found::Nowhere);
        let direct = second.join("tool");
        assert_eq!(find(&direct.to_string_lossy()), Found::At(direct));
        assert_eq!(
            find(&first.to_string_lossy()),
            Found::NotExecutable(first.clone())
        );
    }
}
