//! The server process: finding the executable, starting it, reading its output, and making sure
//! that it exits.
#![allow(unsafe_code)] // `pre_exec`: the child asks the kernel to be killed with its parent.

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

/// The environment variable with the name or path of the executable.
pub const EXECUTABLE_VARIABLE: &str = "CONSORT_SCSYNTH";

/// The folders that are searched after `PATH`.
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

/// Finds the executable of a server: `wanted`, or the value of [`EXECUTABLE_VARIABLE`], or
/// `scsynth`. A name without a folder is searched on `PATH`, then in the standard folders.
///
/// # Errors
/// [`ErrorKind::ServerCannotBoot`]; the message has the searched folders and the package to
/// install.
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
            format!("{} (from {source}) is not an executable file", name.display()),
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
                    "cannot find the executable {} (from {source}) on PATH or in {}; install it \
                     (Debian: apt install {package}) or set {EXECUTABLE_VARIABLE} to its path",
                    name.display(),
                    STANDARD_FOLDERS.join(", ")
                ),
            )
        })
}

/// Bytes of a line beyond this are dropped.
const MAX_LINE_BYTES: usize = 1 << 16;

/// A running server process. Dropping it kills the process and reaps it, so that neither an orphan
/// nor a zombie remains.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    pidfd: OwnedFd,
    /// Our end of the pseudoterminal that the process prints to.
    output: OwnedFd,
    /// The line that is not complete yet.
    line: Vec<u8>,
    output_ended: bool,
}

impl ServerProcess {
    /// Starts the server. The calling thread must outlive the process, because the kernel kills
    /// the process when that thread ends.
    pub(crate) fn spawn(options: &Options) -> Result<Self> {
        let executable = find_executable(options.executable.as_deref())?;
        let fail = |operation: &str, error: io::Error| {
            Error::io(format!("{operation} for {}", executable.display()), error)
                .with_kind(ErrorKind::ServerCannotBoot)
        };
        // With a pseudoterminal the server flushes each line; with a pipe it would flush only when
        // its buffer is full.
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
            terminal.map_err(|error| fail("cannot open a pseudoterminal", error.into()))?;
        let second_end =
            other_end.try_clone().map_err(|error| fail("cannot open a pseudoterminal", error))?;
        let parent = rustix::process::getpid();
        let mut command = Command::new(&executable);
        command
            .args(options.arguments())
            .envs(options.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::from(other_end))
            .stderr(Stdio::from(second_end))
            .process_group(0);
        // SAFETY: between fork and exec the closure only makes system calls and allocates nothing.
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

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A descriptor that is readable when the process has exited.
    pub(crate) fn exit(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// A descriptor that is readable when the process has printed something; `None` after the end
    /// of its output.
    pub(crate) fn output(&self) -> Option<BorrowedFd<'_>> {
        (!self.output_ended).then(|| self.output.as_fd())
    }

    /// Calls `line` for every complete line that was printed.
    pub(crate) fn read_lines(&mut self, line: &mut dyn FnMut(&str)) {
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
                            _ if self.line.len() < MAX_LINE_BYTES => self.line.push(*byte),
                            _ => {}
                        }
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                // Reading the pseudoterminal of a process that has exited is an I/O error.
                Err(_) => break self.output_ended = true,
            }
        }
        if self.output_ended && !self.line.is_empty() {
            line(&String::from_utf8_lossy(&std::mem::take(&mut self.line)));
        }
    }

    /// How the process exited, if it has.
    pub(crate) fn try_wait(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => status.to_string(),
        })
    }

    /// Kills the process, even if it is stopped.
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
    fn the_error_for_a_missing_executable_names_the_package() {
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
    fn the_options_take_precedence_over_the_environment_and_that_over_path() {
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
