//! The sources of Lua code: files, and code in the configuration.

use std::fs;
use std::path::PathBuf;

use mlua::Lua;

/// The largest script file, in bytes.
const MAX_SCRIPT_BYTES: u64 = 16 << 20;

/// The source of Lua code: an option `script` or `code`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    Code(String),
}

impl Source {
    /// The name in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Code(_) => "code".to_owned(),
        }
    }

    /// Reads the code.
    ///
    /// # Errors
    /// When the file cannot be read, is not a regular file or is too large.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        let path = match self {
            Source::Code(text) => return Ok(text.clone().into_bytes()),
            Source::File(path) => path,
        };
        let explain = |error| format!("cannot read {}: {error}", path.display());
        let metadata = fs::metadata(path).map_err(explain)?;
        // Reading a FIFO would block, and a device may be endless.
        if !metadata.is_file() {
            return Err(format!("{} is not a regular file", path.display()));
        }
        if metadata.len() > MAX_SCRIPT_BYTES {
            return Err(format!(
                "{} is larger than {} MiB",
                path.display(),
                MAX_SCRIPT_BYTES >> 20
            ));
        }
        let mut source = fs::read(path).map_err(explain)?;
        // As Lua does when it reads files, skip a byte-order mark and the text of a first line that
        // begins with `#`. The line break remains, so that line numbers are right.
        if source.starts_with("\u{FEFF}".as_bytes()) {
            source.drain(..3);
        }
        if source.starts_with(b"#") {
            let end = source.iter().position(|&byte| byte == b'\n').unwrap_or(source.len());
            source.drain(..end);
        }
        Ok(source)
    }

    /// The chunk to load. Only text is accepted: invalid byte code can crash the interpreter.
    pub(super) fn chunk<'a>(&self, lua: &'a Lua, source: &'a [u8]) -> mlua::chunk::Chunk<'a> {
        let name = match self {
            Source::File(_) => format!("@{}", self.name()),
            Source::Code(_) => "=code".to_owned(),
        };
        lua.load(source).set_name(name).set_mode(mlua::chunk::ChunkMode::Text)
    }

    /// Checks the syntax without running the script.
    ///
    /// # Errors
    /// When the code cannot be read or is not valid Lua.
    pub(super) fn check(&self) -> Result<(), String> {
        let (lua, source) = (Lua::new(), self.read()?);
        self.chunk(&lua, &source).into_function().map(drop).map_err(|error| error.to_string())
    }
}

/// Validates the option `code`.
pub(super) fn check_code(text: &str) -> Result<(), String> {
    if text.contains('\0') {
        return Err("the code must not contain a NUL character".into());
    }
    let source = Source::Code(text.to_owned());
    source.check().map_err(|message| match version_hint(&message, &source) {
        Some(hint) => format!("{message} ({hint})"),
        None => message,
    })
}

/// Functions of other versions of Lua, as errors name them when a script calls one.
const OTHER_VERSIONS: &[(&str, &str)] = &[
    ("global 'warn'", "`warn` belongs to Lua 5.4; scripts run in Lua 5.3"),
    ("field 'close'", "`coroutine.close` belongs to Lua 5.4; scripts run in Lua 5.3"),
    ("global 'unpack'", "`unpack` belongs to Lua 5.1; write `table.unpack`"),
    ("global 'loadstring'", "`loadstring` belongs to Lua 5.1; write `load`"),
    ("global 'setfenv'", "`setfenv` belongs to Lua 5.1; use the local variable `_ENV`"),
    ("global 'getfenv'", "`getfenv` belongs to Lua 5.1; use the local variable `_ENV`"),
    ("field 'getn'", "`table.getn` belongs to Lua 5.0; write `#t`"),
];

/// What to do about an error that results from another version of Lua.
pub(super) fn version_hint(message: &str, source: &Source) -> Option<String> {
    if message.contains("attempt to call a nil value") {
        let known = OTHER_VERSIONS.iter().find(|(name, _)| message.contains(name));
        return known.map(|(_, hint)| (*hint).to_owned());
    }
    // `local x <const> = 1` fails at the `<`, whose line the message gives.
    if !message.contains("near '<'") {
        return None;
    }
    let text = String::from_utf8_lossy(&source.read().ok()?).into_owned();
    let line = message.split(':').find_map(|part| part.parse::<usize>().ok())?;
    let line = text.lines().nth(line.checked_sub(1)?)?;
    let attribute = ["const", "close"].into_iter().find(|attribute| {
        line.split('<')
            .skip(1)
            .any(|rest| rest.split_once('>').is_some_and(|(inner, _)| inner.trim() == *attribute))
    })?;
    Some(format!(
        "`<{attribute}>` belongs to Lua 5.4; scripts run in Lua 5.3: leave out the attribute"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_another_version_gets_a_hint() {
        let hint = |code: &str, message: &str| {
            version_hint(message, &Source::Code(code.to_owned())).unwrap_or_default()
        };
        let code = "local a = 1\nlocal x <const> = 1";
        let error = Source::Code(code.to_owned()).check().unwrap_err();
        assert!(hint(code, &error).contains("`<const>` belongs to Lua 5.4"), "{error}");
        let error = Source::Code("if a < then".to_owned()).check().unwrap_err();
        assert_eq!(hint("if a < then", &error), "");
        let error = "s.lua:1: attempt to call a nil value (global 'unpack')";
        assert!(hint("", error).contains("write `table.unpack`"));
    }
}
