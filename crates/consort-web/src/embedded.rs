//! The files of the page. `web/build` creates them from the sources in `web/`.

/// A file of the page.
pub(crate) struct Embedded {
    /// Its path in the address.
    pub(crate) path: &'static str,
    /// Its media type.
    pub(crate) media_type: &'static str,
    /// Its contents.
    pub(crate) bytes: &'static [u8],
}

/// All files. The first is the page itself.
pub(crate) const FILES: &[Embedded] = &[
    Embedded {
        path: "/",
        media_type: "text/html; charset=utf-8",
        bytes: include_bytes!("../page/index.html"),
    },
    Embedded {
        path: "/app.js",
        media_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../page/app.js"),
    },
    Embedded {
        path: "/app.css",
        media_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../page/app.css"),
    },
    Embedded {
        path: "/icon.svg",
        media_type: "image/svg+xml",
        bytes: include_bytes!("../page/icon.svg"),
    },
];
