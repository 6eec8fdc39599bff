//! Looking for secrets where none may be: in files, rows and logs.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// A secret as it could lie somewhere: as it is, in hexadecimal, as UTF-16, in base64 at any offset, and, when it is
/// hexadecimal itself, the bytes that it stands for. At least 8 bytes long, or the forms would be found everywhere.
#[must_use]
pub fn encodings(secret: &str) -> Vec<Vec<u8>> {
    assert!(secret.len() >= 8, "too short to be looked for");
    let utf16 = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut encodings = vec![secret.into(), hex::encode(secret).into(), utf16];
    // Base64 of a part looks different at each of three offsets; the middle of each form is always the same.
    for offset in 0..3 {
        let encoded = STANDARD.encode(["x".repeat(offset).as_bytes(), secret.as_bytes()].concat());
        encodings.push(encoded.get(4..encoded.len() - 4).unwrap_or_default().into());
    }
    if let Ok(bytes) = hex::decode(secret) {
        encodings.push(bytes);
    }
    encodings
}

/// Whether `data` holds `pattern`.
#[must_use]
pub fn contains(data: &[u8], pattern: &[u8]) -> bool {
    memchr::memmem::find(data, pattern).is_some()
}

/// The first of `secrets` that `data` holds in any form.
#[must_use]
pub fn find_leak<'secret>(data: &[u8], secrets: &[&'secret str]) -> Option<&'secret str> {
    secrets.iter().copied().find(|secret| encodings(secret).iter().any(|encoding| contains(data, encoding)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_found() {
        let secret = "0123456789abcdef";
        for encoding in encodings(secret) {
            let data = [b"before ", encoding.as_slice(), b" after"].concat();
            assert_eq!(find_leak(&data, &["another secret", secret]), Some(secret));
        }
        assert_eq!(find_leak(b"0123456789abcde", &[secret]), None);
    }
}
