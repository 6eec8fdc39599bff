//! Randomness from the operating system, for keys, tokens and nonces.
//!
//! Not a parameter: a source that tests can replace could be replaced by mistake.

use zeroize::Zeroizing;

/// The operating system provides no randomness, so no secret can be generated.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub(crate) struct EntropyError(#[from] getrandom::Error);

/// `N` random bytes, wiped when dropped.
///
/// # Errors
///
/// [`EntropyError`] when the operating system fails.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, EntropyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(bytes)
}
