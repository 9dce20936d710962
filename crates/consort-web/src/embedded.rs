//! The files of the page. `web/build` creates them from the sources in `web/`.

/// A file of the page.
#[derive(Clone, Copy)]
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

/// The page of a control surface.
pub(crate) const SURFACE_PAGE: Embedded = Embedded {
    path: "/surface/{name}",
    media_type: "text/html; charset=utf-8",
    bytes: include_bytes!("../page/surface.html"),
};

/// The files that a control surface needs.
pub(crate) const SURFACE_FILES: &[Embedded] = &[
    Embedded {
        path: "/surface.js",
        media_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../page/surface.js"),
    },
    Embedded {
        path: "/surface.css",
        media_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../page/surface.css"),
    },
];

/// The symbol, which the page has too.
pub(crate) const ICON: &[Embedded] = &[FILES[3]];
