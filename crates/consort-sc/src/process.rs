//! The server process: finding the executable, starting it, reading what it prints, and making
//! sure that it ends.
#![allow(unsafe_code)] // `pre_exec`: the child asks the kernel to end with its owner.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;

/// Environment variable that names the executable.
pub const EXECUTABLE_VARIABLE: &str = "CONSORT_SCSYNTH";

/// Folders that are searched after `PATH`.
const STANDARD_FOLDERS: [&str; 4] = [
    "/usr/bin",
    "/usr/local/bin",
    "/opt/SuperCollider/bin",
    "/Applications/SuperCollider.app/Contents/Resources",
];

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The executable of a server: `wanted`, else what [`EXECUTABLE_VARIABLE`] names, else
/// `scsynth`; a bare name is looked for on `PATH`, then in the standard folders.
///
/// # Errors
/// [`ErrorKind::ServerCannotBoot`], which says where was looked and what to install.
pub fn find_executable(wanted: Option<&Path>) -> Result<PathBuf> {
    let variable = std::env::var_os(EXECUTABLE_VARIABLE).filter(|name| !name.is_empty());
    let search = std::env::var_os("PATH").unwrap_or_default();
    find_executable_in(wanted, variable.as_deref(), &search)
}

fn find_executable_in(
    wanted: Option<&Path>,
    variable: Option<&OsStr>,
    search: &OsStr,
) -> Result<PathBuf> {
    let (name, source) = match (wanted, variable) {
        (Some(wanted), _) => (wanted, "the options"),
        (None, Some(variable)) => (Path::new(variable), EXECUTABLE_VARIABLE),
        (None, None) => (Path::new("scsynth"), "the default"),
    };
    if name.components().count() > 1 {
        if is_executable(name) {
            return Ok(name.to_owned());
        }
        return Err(Error::new(
            ErrorKind::ServerCannotBoot,
            format!("{} (from {source}) is no executable file", name.display()),
        ));
    }
    std::env::split_paths(search)
        .chain(STANDARD_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| is_executable(path))
        .ok_or_else(|| {
            let package = if name.as_os_str() == "supernova" {
                "supercollider-supernova"
            } else {
                "supercollider-server"
            };
            Error::new(
                ErrorKind::ServerCannotBoot,
                format!(
                    "no executable {} (from {source}) on PATH or in {}; install it (Debian: \
                     apt install {package}) or name it in {EXECUTABLE_VARIABLE}",
                    name.display(),
                    STANDARD_FOLDERS.join(", ")
                ),
            )
        })
}

/// A running server process. Dropping it kills it and takes its exit status: no orphan, no
/// zombie.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    pidfd: OwnedFd,
    output: OwnedFd,
    line: Vec<u8>,
    output_ended: bool,
}

impl ServerProcess {
    /// Starts the server. The calling thread must live as long as the process shall: the
    /// kernel kills the process when that thread ends.
    pub(crate) fn spawn(options: &Options) -> Result<Self> {
        let executable = find_executable(options.executable.as_deref())?;
        let fail = |what: &str, error: io::Error| {
            Error::io(format!("{what} for {}", executable.display()), error)
                .with_kind(ErrorKind::ServerCannotBoot)
        };
        // A terminal, so that the server prints whole lines at once instead of when some
        // buffer is full.
        let terminal = (|| {
            let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
            grantpt(&terminal)?;
            unlockpt(&terminal)?;
            let name = ptsname(&terminal, Vec::new())?;
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            let other_end = rustix::fs::open(&name, flags, Mode::empty())?;
            rustix::io::ioctl_fionbio(&terminal, true)?;
            Ok::<_, rustix::io::Errno>((terminal, other_end))
        })();
        let (terminal, other_end) =
            terminal.map_err(|error| fail("cannot open a terminal", error.into()))?;
        let other_end_too =
            other_end.try_clone().map_err(|error| fail("cannot open a terminal", error))?;
        let parent = rustix::process::getpid();
        let mut command = Command::new(&executable);
        command
            .args(options.arguments())
            .envs(options.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::from(other_end))
            .stderr(Stdio::from(other_end_too))
            .process_group(0);
        // SAFETY: between fork and exec only system calls are made, nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                if rustix::process::getppid() != Some(parent) {
                    return Err(io::Error::from_raw_os_error(
                        rustix::io::Errno::SRCH.raw_os_error(),
                    ));
                }
                Ok(())
            });
        }
        tracing::debug!(?command, "starting the server");
        let mut child = command.spawn().map_err(|error| fail("cannot start a process", error))?;
        drop(command);
        let pidfd = Pid::from_raw(child.id() as i32)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        match pidfd {
            Ok(pidfd) => {
                Ok(Self { child, pidfd, output: terminal, line: Vec::new(), output_ended: false })
            }
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(fail("cannot watch the process", error.into()))
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Readable when the process has ended.
    pub(crate) fn exit(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Readable when the process has printed something; `None` when it never will again.
    pub(crate) fn output(&self) -> Option<BorrowedFd<'_>> {
        (!self.output_ended).then(|| self.output.as_fd())
    }

    /// Hands over every whole line that was printed.
    pub(crate) fn read_lines(&mut self, line: &mut dyn FnMut(&str)) {
        const LONGEST_LINE: usize = 1 << 16;
        let mut bytes = [0; 4096];
        loop {
            match rustix::io::read(&self.output, &mut bytes) {
                Ok(0) => break self.output_ended = true,
                Ok(count) => {
                    for byte in &bytes[..count] {
                        match byte {
                            b'\n' => {
                                let text = String::from_utf8_lossy(&self.line);
                                line(text.trim_end_matches('\r'));
                                self.line.clear();
                            }
                            _ if self.line.len() < LONGEST_LINE => self.line.push(*byte),
                            _ => {}
                        }
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                // The terminal of a process that has ended reads as an I/O error.
                Err(_) => break self.output_ended = true,
            }
        }
        if self.output_ended && !self.line.is_empty() {
            line(&String::from_utf8_lossy(&std::mem::take(&mut self.line)));
        }
    }

    /// How the process ended, if it has.
    pub(crate) fn try_wait(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => status.to_string(),
        })
    }

    /// Kills the process; one that is stopped dies, too.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_executable_says_what_to_install() {
        let error =
            find_executable_in(Some(Path::new("supernova-9")), None, OsStr::new("/nowhere"))
                .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ServerCannotBoot);
        assert!(error.to_string().contains("apt install supercollider-server"), "{error}");
        let error = find_executable_in(None, Some(OsStr::new("/nowhere/scsynth")), OsStr::new(""))
            .unwrap_err();
        assert!(error.to_string().contains(EXECUTABLE_VARIABLE), "{error}");
    }

    #[test]
    fn arguments_come_before_the_environment_and_that_before_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scsynth");
        std::fs::copy("/bin/true", &path).unwrap();
        let found = find_executable_in(None, None, folder.path().as_os_str()).unwrap();
        assert_eq!(found, path);
        let found =
            find_executable_in(None, Some(path.as_os_str()), OsStr::new("/nowhere")).unwrap();
        assert_eq!(found, path);
        let found = find_executable_in(Some(&path), Some(OsStr::new("/nowhere/x")), OsStr::new(""))
            .unwrap();
        assert_eq!(found, path);
    }
}
