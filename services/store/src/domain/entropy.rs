//! Randomness from the operating system, for keys, tokens and nonces.
//!
//! Not a parameter: a source that tests can choose is a source that a mistake can choose.

use zeroize::Zeroizing;

/// The operating system gave no randomness. Nothing secret can be made then.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no randomness")]
pub(crate) struct EntropyError(#[from] getrandom::Error);

/// `N` random bytes, wiped when dropped.
///
/// # Errors
///
/// [`EntropyError`], on a broken machine.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, EntropyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(bytes)
}
