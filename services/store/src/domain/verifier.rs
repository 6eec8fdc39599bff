//! [`Verifier`]: what the database stores to recognise a secret. It opens nothing.
//!
//! HKDF-SHA256 (RFC 5869) of the secret, without a key of the keyring, and with a label for each kind. So one indexed
//! comparison finds a row, regardless of the number of keys.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    access_token::AccessToken,
    api_token::ApiTokenSecret,
    message::{RequestId, ViewId},
    passphrase::PassphraseKey,
};

const TOKEN_LABEL: &[u8] = b"mayfly message verifier v2";
const PASSPHRASE_LABEL: &[u8] = b"mayfly passphrase verifier v2";
const CLAIM_LABEL: &[u8] = b"mayfly claim verifier v2";
const REQUEST_LABEL: &[u8] = b"mayfly request hash v1";
const API_TOKEN_LABEL: &[u8] = b"mayfly api token verifier v1";

/// 32 bytes that identify a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Verifier([u8; 32]);

impl Verifier {
    /// The verifier of an access token.
    pub(crate) fn of_token(token: &AccessToken) -> Self {
        Self::derive(token.secret(), &[TOKEN_LABEL])
    }

    /// The verifier of a stretched passphrase of the message with `token`.
    pub(crate) fn of_passphrase(token: &AccessToken, passphrase: &PassphraseKey) -> Self {
        let secret = Zeroizing::new([token.secret(), passphrase.as_bytes()].concat());
        Self::derive(&secret, &[PASSPHRASE_LABEL])
    }

    /// The verifier of the reader with `view_id` of the message with `token`.
    pub(crate) fn of_claim(token: &AccessToken, view_id: ViewId) -> Self {
        Self::derive(token.secret(), &[CLAIM_LABEL, view_id.as_bytes()])
    }

    /// The verifier of a request id.
    pub(crate) fn of_request(request: RequestId) -> Self {
        Self::derive(request.as_bytes(), &[REQUEST_LABEL])
    }

    /// The verifier of an API token.
    pub(crate) fn of_api_token(secret: &ApiTokenSecret) -> Self {
        Self::derive(secret.secret(), &[API_TOKEN_LABEL])
    }

    fn derive(secret: &[u8], info: &[&[u8]]) -> Self {
        let mut verifier = [0; 32];
        if Hkdf::<Sha256>::new(None, secret).expand_multi_info(info, &mut verifier).is_err() {
            unreachable!("HKDF-SHA256 expands to 32 bytes");
        }
        Self(verifier)
    }

    /// The verifier from the database; `None` if it has another length.
    pub(crate) fn from_column(column: &[u8]) -> Option<Self> {
        column.try_into().ok().map(Self)
    }

    pub(crate) fn to_column(self) -> Vec<u8> {
        self.0.to_vec()
    }

    pub(crate) fn matches_column(&self, column: &[u8]) -> bool {
        self.0 == column
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Argon2Memory, Passphrase};

    #[test]
    fn each_secret_has_a_different_verifier() {
        let (token, other) = (AccessToken::generate().unwrap(), AccessToken::generate().unwrap());
        let passphrase = |text: &str| {
            PassphraseKey::derive(
                &Passphrase::parse(text.into()).unwrap().unwrap(),
                &token,
                &mut Argon2Memory::default(),
            )
            .unwrap()
        };
        let id = "3f1c2a9e-7d56-4f0e-8b0a-1c6a2f9d4e11";
        let (view_id, request) = (ViewId::parse(id).unwrap().unwrap(), RequestId::parse(id).unwrap().unwrap());
        let verifiers = [
            Verifier::of_token(&token),
            Verifier::of_token(&other),
            Verifier::of_passphrase(&token, &passphrase("a")),
            Verifier::of_passphrase(&token, &passphrase("b")),
            Verifier::of_claim(&token, view_id),
            Verifier::of_claim(&other, view_id),
            Verifier::of_request(request),
        ];
        let distinct: std::collections::HashSet<_> = verifiers.iter().collect();
        assert_eq!(distinct.len(), verifiers.len());
        assert_eq!(Verifier::of_token(&token.clone()), verifiers[0]);
    }
}
