//! Addresses: `/name/name`.

use crate::{Error, ErrorKind, Result};

/// Checks that `address` is valid for a method or channel: `/` before every name, no
/// empty name, and none of the characters that OSC 1.0 reserves (space and
/// `# * , / ? [ ] { }`) nor control characters.
///
/// Unlike the specification, this accepts letters outside ASCII, which many programs send as
/// UTF-8.
///
/// # Errors
///
/// [`ErrorKind::AddressWithoutSlash`], [`EmptyName`](ErrorKind::EmptyName) or
/// [`ForbiddenCharacter`](ErrorKind::ForbiddenCharacter), with the offset in bytes.
///
/// ```
/// use consort_osc::{ErrorKind, validate_address};
/// assert!(validate_address("/mixer/1/level").is_ok());
/// let error = validate_address("/mixer/*/level").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ForbiddenCharacter('*'));
/// assert_eq!(error.offset(), 7);
/// ```
pub fn validate_address(address: &str) -> Result<()> {
    if !address.starts_with('/') {
        return Err(Error::new(ErrorKind::AddressWithoutSlash, 0));
    }
    let bytes = address.as_bytes();
    for (offset, character) in address.char_indices() {
        match character {
            '/' => {
                if matches!(bytes.get(offset + 1), None | Some(b'/')) {
                    return Err(Error::new(ErrorKind::EmptyName, offset + 1));
                }
            }
            ' ' | '#' | '*' | ',' | '?' | '[' | ']' | '{' | '}' => {
                return Err(Error::new(ErrorKind::ForbiddenCharacter(character), offset));
            }
            character if character.is_control() => {
                return Err(Error::new(ErrorKind::ForbiddenCharacter(character), offset));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether `address` contains a wildcard of patterns: `? * [ ] { }` or `//`.
#[inline]
pub fn is_pattern(address: &str) -> bool {
    let mut previous = 0;
    address.bytes().any(|byte| {
        let slashes = byte == b'/' && previous == b'/';
        previous = byte;
        slashes || matches!(byte, b'?' | b'*' | b'[' | b']' | b'{' | b'}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["/a", "/a/b", "/mixer/1/level!", "/p/é", "/a-b_c.d~"] {
            assert_eq!(validate_address(good), Ok(()), "{good}");
            assert!(!is_pattern(good), "{good}");
        }
        for (bad, kind, offset) in [
            ("", ErrorKind::AddressWithoutSlash, 0),
            ("a/b", ErrorKind::AddressWithoutSlash, 0),
            ("/", ErrorKind::EmptyName, 1),
            ("/a/", ErrorKind::EmptyName, 3),
            ("/a//b", ErrorKind::EmptyName, 3),
            ("/a b", ErrorKind::ForbiddenCharacter(' '), 2),
            ("/é{", ErrorKind::ForbiddenCharacter('{'), 3),
            ("/a\0", ErrorKind::ForbiddenCharacter('\0'), 2),
            ("/#", ErrorKind::ForbiddenCharacter('#'), 1),
        ] {
            let error = validate_address(bad).unwrap_err();
            assert_eq!((error.kind(), error.offset()), (kind, offset), "{bad}");
        }
        for pattern in ["/a?", "//b", "/a//b", "/[ab]", "/{a,b}", "/*"] {
            assert!(is_pattern(pattern), "{pattern}");
        }
    }
}
