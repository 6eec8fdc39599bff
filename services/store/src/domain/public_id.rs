//! [`PublicIds`]: the ids that callers see, which reveal neither the number nor the order of messages.
//!
//! The database numbers its messages sequentially. A caller sees that number encrypted with FF1 (NIST SP 800-38G) and
//! AES-256, as a number of the same size: 1 to 2^40 - 1 for the first 2^40 messages, up to 13 digits. So public ids are
//! unique and stable. The key is in the database, which contains the numbers anyway.

use aes::Aes256;
use fpe::ff1::{FF1, NumeralString, NumeralStringError, Operations};
use zeroize::Zeroizing;

use super::{
    entropy::{EntropyError, random},
    invalid_input::InvalidInput,
    message::MessageId,
};

const KEY_BYTES: usize = 32;
/// Numbers are encrypted within blocks of 2^40. When a block is full, the next one is used.
const BLOCK_BITS: u32 = 40;
const BLOCK_MASK: u64 = (1 << BLOCK_BITS) - 1;
/// The bytes of half a block, into which FF1 splits it.
const HALF_BYTES: usize = (BLOCK_BITS as usize / 2).div_ceil(8);

/// Converts the numbers of messages into public ids and back.
pub(crate) struct PublicIds {
    cipher: FF1<Aes256>,
    /// The ciphertext of zero. No message has the number zero, so the message whose ciphertext is zero gets this id.
    id_of_zero: u64,
}

/// The stored key is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key of the public ids has another length than {KEY_BYTES} bytes")]
pub(crate) struct InvalidIdKey;

impl PublicIds {
    /// A key for a new database.
    pub(crate) fn generate_key() -> Result<Zeroizing<[u8; KEY_BYTES]>, EntropyError> {
        random()
    }

    /// The public ids of the database that holds `key`.
    pub(crate) fn new(key: &[u8]) -> Result<Self, InvalidIdKey> {
        if key.len() != KEY_BYTES {
            return Err(InvalidIdKey);
        }
        let cipher = FF1::new(key, 2).map_err(|_| InvalidIdKey)?;
        let mut ids = Self { cipher, id_of_zero: 0 };
        ids.id_of_zero = ids.encrypt(0);
        Ok(ids)
    }

    /// The public id of a message.
    pub(crate) fn encode(&self, id: MessageId) -> i64 {
        let number = id.get().cast_unsigned();
        match self.encrypt(number) {
            0 => self.id_of_zero.cast_signed(),
            public => public.cast_signed(),
        }
    }

    /// The message with a public id.
    ///
    /// # Errors
    ///
    /// [`InvalidInput::Field`] when the id is not greater than zero.
    pub(crate) fn parse(&self, public: i64) -> Result<MessageId, InvalidInput> {
        if public <= 0 {
            return Err(InvalidInput::field("id", "must be greater than zero"));
        }
        let public = public.cast_unsigned();
        let encrypted = if public == self.id_of_zero { 0 } else { public };
        Ok(MessageId::from_column(self.decrypt(encrypted).cast_signed()))
    }

    fn encrypt(&self, number: u64) -> u64 {
        convert(number, |block, low| self.cipher.encrypt(block, low))
    }

    fn decrypt(&self, public: u64) -> u64 {
        convert(public, |block, low| self.cipher.decrypt(block, low))
    }
}

/// Applies `cipher` to the low bits of `number`, with the high bits as its tweak.
fn convert(number: u64, cipher: impl Fn(&[u8], &Bits) -> Result<Bits, NumeralStringError>) -> u64 {
    let block = (number >> BLOCK_BITS).to_be_bytes();
    let low = Bits { value: number & BLOCK_MASK, length: BLOCK_BITS };
    let Ok(converted) = cipher(&block, &low) else { unreachable!("FF1 takes numbers of 40 bits") };
    number & !BLOCK_MASK | converted.value
}

/// A number as a string of bits, the highest first. The strings of `fpe` allocate several times in each round.
struct Bits {
    value: u64,
    length: u32,
}

impl Bits {
    fn new(value: u64, length: u32) -> Self {
        Self { value: value & ((1 << length) - 1), length }
    }
}

impl NumeralString for Bits {
    type Ops = Self;

    fn is_valid(&self, radix: u32) -> bool {
        radix == 2
    }

    fn numeral_count(&self) -> usize {
        self.length as usize
    }

    fn split(&self) -> (Self, Self) {
        let high = self.length / 2;
        let low = self.length - high;
        (Self::new(self.value >> low, high), Self::new(self.value, low))
    }

    fn concat(high: Self, low: Self) -> Self {
        Self { value: high.value << low.length | low.value, length: high.length + low.length }
    }
}

impl Operations for Bits {
    type Bytes = [u8; HALF_BYTES];

    fn numeral_count(&self) -> usize {
        self.length as usize
    }

    fn to_be_bytes(&self, _radix: u32, _bytes: usize) -> Self::Bytes {
        let [.., a, b, c] = self.value.to_be_bytes();
        [a, b, c]
    }

    fn add_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, _length: usize) -> Self {
        Self::new(self.value.wrapping_add(number_of(other)), self.length)
    }

    fn sub_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, _length: usize) -> Self {
        Self::new(self.value.wrapping_sub(number_of(other)), self.length)
    }
}

/// The low 64 bits of a number, which suffice for sums of shorter numbers.
fn number_of(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0, |number, byte| number << 8 | u64::from(byte))
}

impl std::fmt::Debug for PublicIds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("PublicIds")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use fpe::ff1::FlexibleNumeralString;

    use super::*;

    fn ids() -> PublicIds {
        PublicIds::new(PublicIds::generate_key().unwrap().as_slice()).unwrap()
    }

    #[test]
    fn every_number_has_a_unique_public_id_that_decodes_to_it() {
        let ids = ids();
        let numbers = (1..2000).chain((1 << 40) - 2..(1 << 40) + 2000).chain([i64::MAX - 1, i64::MAX]);
        let mut seen = HashSet::new();
        for number in numbers {
            let public = ids.encode(MessageId::from_column(number));
            assert!(public > 0, "{number}");
            assert!(seen.insert(public), "{number}");
            assert_eq!(ids.parse(public), Ok(MessageId::from_column(number)));
        }
    }

    #[test]
    fn an_id_is_what_the_library_encrypts_bit_by_bit() {
        let ids = ids();
        for number in [1, 2, 3, 1 << 20, (1 << 40) - 1] {
            let bits: Vec<u16> = (0..40).rev().map(|bit| u16::from(number >> bit & 1 == 1)).collect();
            let encrypted = ids.cipher.encrypt(&[0; 8], &FlexibleNumeralString::from(bits)).unwrap();
            let expected = Vec::from(encrypted).into_iter().fold(0, |number, bit| number << 1 | u64::from(bit));
            assert_eq!(ids.encrypt(number), expected);
            assert_eq!(ids.decrypt(expected), number);
        }
    }

    /// The message whose ciphertext is zero has the ciphertext of zero as its id.
    #[test]
    fn zero_is_neither_an_id_nor_a_number() {
        let ids = ids();
        let number = MessageId::from_column(ids.decrypt(0).cast_signed());
        assert_eq!(ids.encode(number), ids.id_of_zero.cast_signed());
        assert_eq!(ids.parse(ids.id_of_zero.cast_signed()), Ok(number));
        assert!(ids.parse(0).is_err() && ids.parse(-1).is_err());
    }

    #[test]
    fn public_ids_reveal_neither_order_nor_number() {
        let ids = ids();
        let public: Vec<_> = (1..=1000).map(|number| ids.encode(MessageId::from_column(number))).collect();
        let ascending = public.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((400..600).contains(&ascending), "{ascending} of 999");
        let above_half = public.iter().filter(|id| **id > 1 << 39).count();
        assert!((400..600).contains(&above_half), "{above_half} of 1000");
        assert_ne!(super::tests::ids().encode(MessageId::from_column(1)), public[0], "each database has its own");
    }

    #[test]
    fn a_key_of_another_length_is_rejected() {
        assert_eq!(PublicIds::new(&[0; 16]).err(), Some(InvalidIdKey));
    }
}
