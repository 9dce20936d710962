//! The tokens that unlock the page, in a file that survives restarts.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;

use crate::access::Role;

/// The name of the file in the state folder.
const FILE_NAME: &str = "page-tokens";

/// How many random bytes a token has; it is written with two digits for each.
const TOKEN_BYTES: usize = 16;

/// More than this is not read from the file.
const MAX_FILE_BYTES: u64 = 4_096;

/// `O_NOFOLLOW` of Linux, which differs between architectures.
#[cfg(not(any(target_arch = "aarch64", target_arch = "arm")))]
const O_NOFOLLOW: i32 = 0o400_000;
#[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
const O_NOFOLLOW: i32 = 0o100_000;

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// The file or its folder cannot be used.
    #[error("cannot use the tokens of the page in {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Others can read or replace the file.
    #[error(
        "{} must be a file that only this user can access (mode 0600); delete it to get new tokens",
        path.display()
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
    },
    /// The file has other contents.
    #[error("{} does not contain the tokens of the page; delete it to get new ones", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

/// One token for each role.
#[derive(Clone)]
pub struct Tokens {
    view: String,
    control: String,
}

impl std::fmt::Debug for Tokens {
    /// Without the tokens, which must not get into a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tokens")
    }
}

impl Tokens {
    /// New tokens.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn random() -> io::Result<Self> {
        Ok(Tokens { view: random()?, control: random()? })
    }

    /// The tokens in `folder`; the folder (mode 0700) and new tokens (mode 0600) are created if they
    /// do not exist. Blocks for as long as the file system takes.
    ///
    /// # Errors
    /// When the file cannot be read or written, others can access it, or it has other contents.
    pub fn load(folder: &Path) -> Result<Self, TokensError> {
        let path = Self::path(folder);
        let failed = |source| TokensError::File { path: path.clone(), source };
        match read(&path) {
            Err(TokensError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
                create(&path).map_err(failed)?;
                read(&path)
            }
            result => result,
        }
    }

    /// The file with the tokens in a folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(FILE_NAME)
    }

    /// The token of a role.
    pub fn of(&self, role: Role) -> &str {
        match role {
            Role::View => &self.view,
            Role::Control => &self.control,
        }
    }

    /// The role that a token unlocks. Takes equally long for all tokens of the right length.
    pub(crate) fn role(&self, token: &str) -> Option<Role> {
        let is_view = self.view.as_bytes().ct_eq(token.as_bytes());
        let is_control = self.control.as_bytes().ct_eq(token.as_bytes());
        match (bool::from(is_control), bool::from(is_view)) {
            (true, _) => Some(Role::Control),
            (false, true) => Some(Role::View),
            (false, false) => None,
        }
    }
}

fn random() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads a file that only this user can access.
fn read(path: &Path) -> Result<Tokens, TokensError> {
    let failed = |source| TokensError::File { path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let own = std::fs::metadata("/proc/self").map_err(failed)?;
    if !metadata.is_file() || metadata.mode() & 0o077 != 0 || metadata.uid() != own.uid() {
        return Err(TokensError::NotPrivate { path: path.to_owned() });
    }
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(failed)?;
    parse(&text).ok_or_else(|| TokensError::Malformed { path: path.to_owned() })
}

fn parse(text: &str) -> Option<Tokens> {
    let token = |name: &str| {
        let token = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        let is_token =
            token.len() == 2 * TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_token.then(|| token.to_owned())
    };
    let (view, control) = (token("view")?, token("control")?);
    (view != control).then_some(Tokens { view, control })
}

/// Writes new tokens, unless another process was faster.
fn create(path: &Path) -> io::Result<()> {
    let tokens = Tokens::random()?;
    let temporary = path.with_extension(random()?);
    let written = write(&temporary, &tokens).and_then(|()| {
        // Unlike renaming, this keeps a file that another process has created meanwhile.
        match std::fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    });
    let removed = std::fs::remove_file(&temporary);
    written.and(removed)
}

fn write(path: &Path, tokens: &Tokens) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    write!(file, "view {}\ncontrol {}\n", tokens.view, tokens.control)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn tokens_are_private_and_survive() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let first = Tokens::load(&state).expect("created");
        let again = Tokens::load(&state).expect("read");
        assert_eq!(first.view, again.view);
        assert_eq!(first.control, again.control);
        assert_ne!(first.view, first.control);
        let mode = |path: &Path| std::fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!((mode(&state), mode(&Tokens::path(&state))), (0o700, 0o600));
        assert_eq!(std::fs::read_dir(&state).expect("read").count(), 1);
        assert_eq!(format!("{first:?}"), "Tokens");
    }

    #[test]
    fn a_token_unlocks_its_role() {
        let tokens = Tokens::random().expect("random");
        assert_eq!(tokens.role(tokens.of(Role::View)), Some(Role::View));
        assert_eq!(tokens.role(tokens.of(Role::Control)), Some(Role::Control));
        for token in ["", "0", &tokens.view[..31], &format!("{}0", tokens.control)] {
            assert_eq!(tokens.role(token), None);
        }
    }

    #[test]
    fn a_file_that_others_can_access_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        Tokens::load(folder.path()).expect("created");
        let path = Tokens::path(folder.path());
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("set");
        assert!(matches!(Tokens::load(folder.path()), Err(TokensError::NotPrivate { .. })));
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
        let moved = folder.path().join("moved");
        std::fs::rename(&path, &moved).expect("moved");
        symlink(&moved, &path).expect("linked");
        assert!(matches!(Tokens::load(folder.path()), Err(TokensError::File { .. })));
    }

    #[test]
    fn a_file_with_other_contents_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        Tokens::load(folder.path()).expect("created");
        let token = "0".repeat(32);
        for text in ["", "view 1\ncontrol 2\n", &format!("view {token}\ncontrol {token}\n")] {
            std::fs::write(Tokens::path(folder.path()), text).expect("written");
            assert!(matches!(Tokens::load(folder.path()), Err(TokensError::Malformed { .. })));
        }
    }
}
