//! The tokens that unlock the page, in a file that survives restarts.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;

use crate::access::Role;

/// The name of the page's file in the state folder.
const FILE_NAME: &str = "page-tokens";

/// The name of the surfaces' file in the state folder.
const SURFACE_FILE_NAME: &str = "surface-token";

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
        let new = || Tokens::random().map(|tokens| tokens.to_text());
        parse(&load(folder, &path, new)?).ok_or(TokensError::Malformed { path })
    }

    /// The contents of the file.
    fn to_text(&self) -> String {
        format!("view {}\ncontrol {}\n", self.view, self.control)
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

/// What unlocks the control surfaces of a show, and nothing else.
#[derive(Clone)]
pub struct SurfaceToken(String);

impl std::fmt::Debug for SurfaceToken {
    /// Without the token, which must not get into a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SurfaceToken")
    }
}

impl SurfaceToken {
    /// A new token.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn random() -> io::Result<Self> {
        random().map(SurfaceToken)
    }

    /// The token in `folder`, which is created as [`Tokens::load`] does. Blocks for as long as the
    /// file system takes.
    ///
    /// # Errors
    /// As those of [`Tokens::load`].
    pub fn load(folder: &Path) -> Result<Self, TokensError> {
        let path = Self::path(folder);
        let new = || random().map(|token| format!("surface {token}\n"));
        let token = token(&load(folder, &path, new)?, "surface");
        token.map(SurfaceToken).ok_or(TokensError::Malformed { path })
    }

    /// The file with the token in a folder.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join(SURFACE_FILE_NAME)
    }

    /// The token as text, for an address.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether this is the token. Takes equally long for all texts of the right length.
    pub(crate) fn is(&self, token: &str) -> bool {
        self.0.as_bytes().ct_eq(token.as_bytes()).into()
    }
}

/// The folder of the tokens: that of the service manager, or of the user. `None` if the environment
/// names none.
pub fn state_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    // systemd gives several folders, separated by colons.
    if let Some(folders) = variable("STATE_DIRECTORY") {
        let text = folders.to_string_lossy().into_owned();
        return Some(PathBuf::from(text.split(':').next().unwrap_or_default()));
    }
    if let Some(folder) = variable("XDG_STATE_HOME") {
        return Some(Path::new(&folder).join("consort"));
    }
    variable("HOME").map(|home| Path::new(&home).join(".local/state/consort"))
}

/// The text of a private file, which is created with the text of `new` if it does not exist.
fn load(
    folder: &Path,
    path: &Path,
    new: impl FnOnce() -> io::Result<String>,
) -> Result<String, TokensError> {
    let failed = |source| TokensError::File { path: path.to_owned(), source };
    match read(path) {
        Err(TokensError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
            create(path, &new().map_err(failed)?).map_err(failed)?;
            read(path)
        }
        result => result,
    }
}

fn random() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads a file that only this user can access.
fn read(path: &Path) -> Result<String, TokensError> {
    let failed = |source| TokensError::File { path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let own = std::fs::metadata("/proc/self").map_err(failed)?;
    if !metadata.is_file() || metadata.mode() & 0o077 != 0 || metadata.uid() != own.uid() {
        return Err(TokensError::NotPrivate { path: path.to_owned() });
    }
    // What is not text has no token.
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The token behind a name, on a line of its own.
fn token(text: &str, name: &str) -> Option<String> {
    let token = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    let is_token =
        token.len() == 2 * TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_token.then(|| token.to_owned())
}

fn parse(text: &str) -> Option<Tokens> {
    let (view, control) = (token(text, "view")?, token(text, "control")?);
    (view != control).then_some(Tokens { view, control })
}

/// Writes a new file, unless another process was faster.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension(random()?);
    let written = write(&temporary, text).and_then(|()| {
        // Unlike renaming, this keeps a file that another process has created meanwhile.
        match std::fs::hard_link(&temporary, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    });
    let removed = std::fs::remove_file(&temporary);
    written.and(removed)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
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
    fn the_token_of_surfaces_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = SurfaceToken::load(folder.path()).expect("created");
        let again = SurfaceToken::load(folder.path()).expect("read");
        assert!(first.is(again.text()) && !first.is("") && !first.is(&"0".repeat(32)));
        let tokens = Tokens::load(folder.path()).expect("created");
        assert_eq!(tokens.role(first.text()), None);
        assert_eq!(format!("{first:?}"), "SurfaceToken");
        std::fs::write(SurfaceToken::path(folder.path()), [0xff]).expect("written");
        assert!(matches!(SurfaceToken::load(folder.path()), Err(TokensError::Malformed { .. })));
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
