//! The keys of a console: their names in the web remote, and their numbers in the console's Lua.

/// What the web remote gets when a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    /// The web remote does not have the key.
    None,
    Press,
    Release,
    Both,
}

/// A key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Its name, also that in the web remote.
    pub(super) name: &'static str,
    /// Its number for `gma.canbus.hardkey`, if the console has it.
    pub(super) hardkey: Option<u8>,
    pub(super) remote: Remote,
    /// Whether the web remote executes the command line with it.
    pub(super) submits: bool,
}

impl Key {
    /// Whether the web remote has the key.
    pub(super) fn is_remote(&self) -> bool {
        self.remote != Remote::None
    }
}

/// A key of the console and the web remote.
const fn key(name: &'static str, hardkey: u8, remote: Remote) -> Key {
    Key { name, hardkey: Some(hardkey), remote, submits: false }
}

/// A key that executes the command line.
const fn submit(name: &'static str, hardkey: Option<u8>, remote: Remote) -> Key {
    Key { name, hardkey, remote, submits: true }
}

/// A key of the web remote only.
const fn web(name: &'static str) -> Key {
    Key { name, hardkey: None, remote: Remote::Both, submits: false }
}

/// A key of the console only.
const fn console(name: &'static str, hardkey: u8) -> Key {
    key(name, hardkey, Remote::None)
}

/// All keys.
pub(super) static KEYS: &[Key] = &[
    key("PREV", 109, Remote::Release),
    submit("SET", Some(108), Remote::Press),
    key("NEXT", 110, Remote::Release),
    key("TIME", 58, Remote::Both),
    key("EDIT", 55, Remote::Both),
    key("UPDATE", 57, Remote::Both),
    key("OOPS", 53, Remote::Both),
    key("ESC", 54, Remote::Both),
    key("CLEAR", 105, Remote::Both),
    key("0", 86, Remote::Both),
    key("1", 87, Remote::Both),
    key("2", 88, Remote::Both),
    key("3", 89, Remote::Both),
    key("4", 90, Remote::Both),
    key("5", 91, Remote::Both),
    key("6", 92, Remote::Both),
    key("7", 93, Remote::Both),
    key("8", 94, Remote::Both),
    key("9", 95, Remote::Both),
    key("PUNKT", 98, Remote::Both),
    key("ENTER", 106, Remote::Both),
    key("PLUS", 96, Remote::Both),
    key("MINUS", 97, Remote::Both),
    key("THRU", 102, Remote::Both),
    key("IF", 103, Remote::Both),
    key("AT", 104, Remote::Both),
    key("FULL", 99, Remote::Both),
    key("MA", 68, Remote::Release),
    submit("HIGH", Some(100), Remote::Both),
    submit("SOLO", Some(101), Remote::Both),
    key("SELECT", 42, Remote::Both),
    key("OFF", 43, Remote::Both),
    key("ON", 46, Remote::Both),
    key("ASSIGN", 63, Remote::Both),
    key("COPY", 73, Remote::Both),
    key("DELETE", 69, Remote::Both),
    key("STORE", 59, Remote::Both),
    key("GOTO", 56, Remote::Both),
    key("PAGE", 70, Remote::Both),
    key("MACRO", 71, Remote::Both),
    key("PRESET", 72, Remote::Both),
    key("SEQU", 74, Remote::Both),
    key("CUE", 75, Remote::Both),
    key("EXEC", 76, Remote::Both),
    key("FIXTURE", 83, Remote::Both),
    key("GROUP", 84, Remote::Both),
    key("GO_MINUS", 10, Remote::Both),
    key("PAUSE", 9, Remote::Both),
    key("GO_PLUS", 11, Remote::Both),
    web("LABEL"),
    web("FIXTURE_CHANNEL"),
    web("FIXTURE_GROUP_PRESET"),
    web("EXEC_CUE"),
    web("STORE_UPDATE"),
    submit("PROG_ONLY", None, Remote::Both),
    web("SPECIAL_DIALOGUE"),
    web("ODD"),
    web("EVEN"),
    web("WINGS"),
    web("RESET"),
    console("CHPGPLUS", 3),
    console("CHPGMINUS", 4),
    console("FDPGPLUS", 5),
    console("FDPGMINUS", 6),
    console("BTPGPLUS", 7),
    console("BTPGMINUS", 8),
    console("X1", 12),
    console("X2", 13),
    console("X3", 14),
    console("X4", 15),
    console("X5", 16),
    console("X6", 17),
    console("X7", 18),
    console("X8", 19),
    console("X9", 20),
    console("X10", 21),
    console("X11", 22),
    console("X12", 23),
    console("X13", 24),
    console("X14", 25),
    console("X15", 26),
    console("X16", 27),
    console("X17", 28),
    console("X18", 29),
    console("X19", 30),
    console("X20", 31),
    console("V1", 120),
    console("V2", 121),
    console("V3", 122),
    console("V4", 123),
    console("V5", 124),
    console("V6", 125),
    console("V7", 126),
    console("V8", 127),
    console("V9", 128),
    console("V10", 129),
    console("NIPPLE", 40),
    console("TOOLS", 119),
    console("SETUP", 117),
    console("BACKUP", 117),
    console("BLIND", 60),
    console("FREEZE", 61),
    console("PREVIEW", 62),
    console("FIX", 41),
    console("TEMP", 44),
    console("TOP", 45),
    console("VIEW", 66),
    console("EFFECT", 67),
    console("CHANNEL", 82),
    console("MOVE", 85),
    console("BLACKOUT", 65),
    console("PLEASE", 106),
    console("LIST", 32),
    console("USER1", 33),
    console("USER2", 34),
    console("ALIGN", 64),
    console("HELP", 116),
    console("UP", 107),
    console("DOWN", 111),
    console("FASTREVERSE", 47),
    console("LEARN", 48),
    console("FASTFORWARD", 49),
    console("GO_MINUS_SMALL", 50),
    console("PAUSE_SMALL", 51),
    console("GO_PLUS_SMALL", 52),
];
