//! The protocols of the router, one folder each
