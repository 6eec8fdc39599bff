//! A string that must not be shown.

use std::{convert::Infallible, fmt, str::FromStr};

use zeroize::Zeroizing;

/// A secret string: wiped from memory when dropped, and hidden from `Debug`. There is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `secret`.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret in clear. Keep the borrow short, and out of everything that prints.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// For command-line flags and environment variables.
impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(secret: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(secret.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_secret() {
        let Ok(secret) = "needle".parse::<Secret>();
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret.expose(), "needle");
    }
}
