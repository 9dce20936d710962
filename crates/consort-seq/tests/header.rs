//! Compares the constants and request numbers with the C header of this machine.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use consort_seq::raw::{self, request_number};

fn expected() -> Vec<(&'static str, i64)> {
    let mut all = Vec::new();
    macro_rules! family {
        ($($module:ident),*) => {
            $(all.extend(raw::$module::ALL.iter().map(|&(name, value)| (name, i64::from(value))));)*
        };
    }
    family!(
        event_type,
        event_flag,
        address,
        client_type,
        client_filter,
        midi_version,
        remove,
        port_capability,
        port_type,
        port_flag,
        port_direction,
        queue_flag,
        timer_type,
        subscription_flag,
        query_type,
        ump_info_type
    );
    all.extend(request_number::ALL.iter().map(|&(name, value)| (name, i64::from(value))));
    all
}

/// Older headers lack the newest names; these are printed, not compared.
#[test]
#[allow(clippy::print_stdout)]
fn constants_equal_the_c_header() {
    if !Path::new("/usr/include/sound/asequencer.h").exists() {
        println!("SKIPPED: constants_equal_the_c_header: no sound/asequencer.h (linux-libc-dev)");
        assert!(std::env::var_os("CI").is_none(), "linux-libc-dev is missing");
        return;
    }
    let expected = expected();
    let mut source = String::from(
        "#include <stdio.h>\n#include <sys/ioctl.h>\n#include <sound/asequencer.h>\nint main(void) {\n",
    );
    for (name, _) in &expected {
        writeln!(
            source,
            "#ifdef {name}\nprintf(\"%s %lld\\n\", \"{name}\", (long long)({name}));\n#endif"
        )
        .unwrap();
    }
    source.push_str("return 0;\n}\n");
    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (folder.path().join("header.c"), folder.path().join("header"));
    std::fs::write(&file, source).unwrap();
    let compiled = match Command::new("cc").arg(&file).arg("-o").arg(&program).output() {
        Ok(output) => output,
        Err(error) => {
            println!("SKIPPED: constants_equal_the_c_header: no C compiler: {error}");
            assert!(std::env::var_os("CI").is_none(), "no C compiler");
            return;
        }
    };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = String::from_utf8(Command::new(&program).output().unwrap().stdout).unwrap();
    let header: std::collections::HashMap<&str, i64> = output
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect();
    let mut newer = Vec::new();
    for (name, value) in &expected {
        match header.get(name) {
            Some(found) => assert_eq!(found & 0xffff_ffff, value & 0xffff_ffff, "{name}"),
            None => newer.push(*name),
        }
    }
    assert!(header.len() > 150, "only {} names compared", header.len());
    println!("{} constants are equal; this header lacks: {newer:?}", header.len());
}
