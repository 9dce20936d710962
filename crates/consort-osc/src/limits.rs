//! Bounds on what a decoder accepts.

/// Bounds on what [`Packet::decode_with`](crate::Packet::decode_with) accepts.
///
/// The defaults suit packets from untrusted peers:
///
/// ```
/// use consort_osc::Limits;
/// let limits = Limits::default();
/// assert_eq!(limits.size, 1 << 20);
/// assert_eq!(limits.bundle_depth, 16);
/// assert_eq!(limits.array_depth, 16);
/// assert_eq!(limits.arguments, 65_536);
/// // Set only the limits that differ:
/// let strict = Limits::default().with_size(1_500).with_bundle_depth(1);
/// # assert_eq!(strict.size, 1_500);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// The largest packet, in bytes.
    pub size: usize,
    /// How deep bundles may nest; 0 accepts messages only. Values above
    /// [`Limits::MAX_DEPTH`] have no further effect.
    pub bundle_depth: usize,
    /// How deep arrays may nest. Values above [`Limits::MAX_DEPTH`] have no further effect.
    pub array_depth: usize,
    /// The most type tags in one message, those inside arrays and the brackets included.
    pub arguments: usize,
}

impl Limits {
    /// The upper bound of both depths, whatever a caller sets. Readers and
    /// writers recurse at most this deep.
    pub const MAX_DEPTH: usize = 64;

    /// The defaults, as a constant.
    pub const DEFAULT: Self =
        Self { size: 1 << 20, bundle_depth: 16, array_depth: 16, arguments: 65_536 };

    /// The largest packet, in bytes.
    #[must_use]
    pub const fn with_size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// How deep bundles may nest.
    #[must_use]
    pub const fn with_bundle_depth(mut self, depth: usize) -> Self {
        self.bundle_depth = depth;
        self
    }

    /// How deep arrays may nest.
    #[must_use]
    pub const fn with_array_depth(mut self, depth: usize) -> Self {
        self.array_depth = depth;
        self
    }

    /// The most type tags in one message.
    #[must_use]
    pub const fn with_arguments(mut self, arguments: usize) -> Self {
        self.arguments = arguments;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
