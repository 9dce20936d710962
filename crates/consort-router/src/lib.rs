//! The router: configuration, channels, mappings, the event loop and the Backend trait
