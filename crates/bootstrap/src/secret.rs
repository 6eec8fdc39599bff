//! [`Secret`]: a string that must not be logged or printed.

use std::{convert::Infallible, fmt, str::FromStr};

use zeroize::Zeroizing;

/// A secret string. It is wiped from memory when dropped, `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `secret`.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The plain secret. Do not pass it to anything that prints.
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

/// Parses command line flags and environment variables.
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
        let Ok(secret) = "hidden".parse::<Secret>();
        assert_eq!(format!("{secret:?}"), "Secret");
        assert_eq!(secret.expose(), "hidden");
    }
}
