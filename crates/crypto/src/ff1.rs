//! FF1, format-preserving encryption (NIST SP 800-38G with the minimum domain of its revision 1).

use aes::{Aes128, Aes192, Aes256};
use fpe::ff1::{FF1, FlexibleNumeralString};
use zeroize::Zeroizing;

use crate::Error;

/// The longest text. The time grows with the square of its length: 4096 digits take some milliseconds.
const MAX_NUMERALS: usize = 4096;
/// The longest tweak, in bytes.
const MAX_TWEAK: usize = 1 << 16;

/// An AES key prepared for texts of one radix. A text is its numerals, each from 0 to the radix less one, the highest first; what stands
/// for them (digits, letters) is the caller's alphabet.
pub struct Ff1(Cipher);

enum Cipher {
    Aes128(FF1<Aes128>),
    Aes192(FF1<Aes192>),
    Aes256(FF1<Aes256>),
}

impl Ff1 {
    pub(crate) fn new(key: &[u8], radix: u32) -> Result<Self, Error> {
        let cipher = match key.len() {
            16 => FF1::new(key, radix).map(Cipher::Aes128),
            24 => FF1::new(key, radix).map(Cipher::Aes192),
            32 => FF1::new(key, radix).map(Cipher::Aes256),
            _ => return Err(Error::KeySize),
        };
        cipher.map(Self).map_err(|_| Error::Unsupported)
    }

    /// The encryption, as long as the text. The tweak is not secret, and may be empty; another one gives another encryption.
    ///
    /// # Errors
    /// [`Error::Numerals`] for a text that is not of the radix, too short or longer than 4096 numerals, [`Error::TooLong`] for a tweak of
    /// more than 64 KiB.
    pub fn encrypt(&self, tweak: &[u8], text: &[u16]) -> Result<Vec<u16>, Error> {
        let text = numerals(tweak, text)?;
        let encrypted = match &self.0 {
            Cipher::Aes128(cipher) => cipher.encrypt(tweak, &text),
            Cipher::Aes192(cipher) => cipher.encrypt(tweak, &text),
            Cipher::Aes256(cipher) => cipher.encrypt(tweak, &text),
        };
        encrypted.map(Vec::from).map_err(|_| Error::Numerals)
    }

    /// The text of an encryption. Nothing tells whether key and tweak were the right ones.
    ///
    /// # Errors
    /// As [`Ff1::encrypt`].
    pub fn decrypt(&self, tweak: &[u8], encrypted: &[u16]) -> Result<Zeroizing<Vec<u16>>, Error> {
        let encrypted = numerals(tweak, encrypted)?;
        let text = match &self.0 {
            Cipher::Aes128(cipher) => cipher.decrypt(tweak, &encrypted),
            Cipher::Aes192(cipher) => cipher.decrypt(tweak, &encrypted),
            Cipher::Aes256(cipher) => cipher.decrypt(tweak, &encrypted),
        };
        text.map(|text| Zeroizing::new(text.into())).map_err(|_| Error::Numerals)
    }
}

/// Bounded, so that neither time nor the crate's 32-bit lengths run over.
fn numerals(tweak: &[u8], text: &[u16]) -> Result<FlexibleNumeralString, Error> {
    if tweak.len() > MAX_TWEAK {
        return Err(Error::TooLong);
    }
    if text.len() > MAX_NUMERALS {
        return Err(Error::Numerals);
    }
    Ok(FlexibleNumeralString::from(text.to_vec()))
}
