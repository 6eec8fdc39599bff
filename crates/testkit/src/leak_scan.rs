//! Searches files, rows and logs for secrets.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The encodings in which a secret may leak: plain, hexadecimal, UTF-16, base64 at each offset, and the decoded bytes
/// of a hexadecimal secret.
///
/// # Panics
///
/// Panics if the secret has fewer than 8 bytes, since shorter patterns occur by chance.
#[must_use]
pub fn encodings(secret: &str) -> Vec<Vec<u8>> {
    assert!(secret.len() >= 8, "the secret is too short for a scan");
    let utf16 = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut encodings = vec![secret.into(), hex::encode(secret).into(), utf16];
    // The base64 of a substring depends on its offset modulo 3. The middle of each encoding does not depend on the
    // neighbours.
    for offset in 0..3 {
        let encoded = STANDARD.encode(["x".repeat(offset).as_bytes(), secret.as_bytes()].concat());
        encodings.push(encoded.get(4..encoded.len() - 4).unwrap_or_default().into());
    }
    if let Ok(bytes) = hex::decode(secret) {
        encodings.push(bytes);
    }
    encodings
}

/// The encodings of a hexadecimal token in headers of HTTP/2 (RFC 7541, appendix B), one for each offset in a byte,
/// without the bits that share their byte with a neighbour.
///
/// # Panics
///
/// Panics if the token has other characters.
#[must_use]
pub fn http2_encodings(token: &str) -> Vec<Vec<u8>> {
    assert!(token.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f')), "the token is not hexadecimal");
    let code = |digit: char| match digit {
        '0'..='2' => (digit as u32 - '0' as u32, 5),
        '3'..='9' => (digit as u32 - '3' as u32 + 0x19, 6),
        'a' => (0x3, 5),
        'c' => (0x4, 5),
        'e' => (0x5, 5),
        'b' => (0x23, 6),
        'd' => (0x24, 6),
        _ => (0x25, 6),
    };
    let bits: String = token.chars().map(code).map(|(bits, length)| format!("{bits:0length$b}")).collect();
    let bytes = |bits: &str| {
        let whole = bits.as_bytes().chunks_exact(8).map(|byte| std::str::from_utf8(byte).unwrap_or_default());
        whole.map(|byte| u8::from_str_radix(byte, 2).unwrap_or_default()).collect()
    };
    (0..8).map(|skipped| bytes(bits.get(skipped..).unwrap_or_default())).collect()
}

/// Returns `true` if `data` contains `pattern`.
#[must_use]
pub fn contains(data: &[u8], pattern: &[u8]) -> bool {
    memchr::memmem::find(data, pattern).is_some()
}

/// Returns the first of `secrets` that `data` contains in any encoding.
#[must_use]
pub fn find_leak<'secret>(data: &[u8], secrets: &[&'secret str]) -> Option<&'secret str> {
    secrets.iter().copied().find(|secret| encodings(secret).iter().any(|encoding| contains(data, encoding)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_found() {
        let secret = "0123456789abcdef";
        for encoding in encodings(secret) {
            let data = [b"before ", encoding.as_slice(), b" after"].concat();
            assert_eq!(find_leak(&data, &["another secret", secret]), Some(secret));
        }
        assert_eq!(find_leak(b"0123456789abcde", &[secret]), None);
    }
}
