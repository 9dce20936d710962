//! Control surfaces: pages with faders and buttons of a show, for telephones and tablets.
//!
//! | module | content |
//! |---|---|
//! | `layout` | widgets and pages, as the browser gets them |
//! | `state` | the values, shared between the router and the phones |
//! | `message` | what phones send and get |
//! | `phone` | the WebSocket of one phone |
//! | `server` | requests, and a server for one surface |
//!
//! Nothing waits for a phone. The router stores values in a [`SurfaceFeed`] and wakes the phones;
//! each phone sends what has changed since its last message, at most 40 times a second, so that a
//! slow one skips values and gets the newest. Input waits in a queue of the surface until the router
//! takes it; while the queue is full, the phones' sockets are not read.

mod layout;
pub(crate) mod message;
mod phone;
mod server;
pub(crate) mod state;

pub use layout::{Layout, SurfacePage, Widget, WidgetKind};
pub(crate) use server::{PageAddress, SurfaceHost, app};
pub use server::{SurfaceLink, SurfaceServer, SurfaceSettings, Surfaces};
pub use state::{Surface, SurfaceChannel, SurfaceFeed};
