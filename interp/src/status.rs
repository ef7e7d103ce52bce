//! The exit statuses of the program.

/// A script or usage error.
pub const FAILED: u8 = 2;
