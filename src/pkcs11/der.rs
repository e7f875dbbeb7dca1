//! The little DER (X.690) that attributes need: numbers and strings into the forms that key parsers read, and back.

use zeroize::Zeroizing;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// `SEQUENCE` of these elements, each encoded already. The result may hold a key, so it is overwritten when dropped.
pub(super) fn sequence(elements: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let mut content = Zeroizing::new(Vec::with_capacity(elements.iter().map(|element| element.len()).sum()));
    elements.iter().for_each(|element| content.extend_from_slice(element));
    tagged(SEQUENCE, &content)
}

/// `INTEGER` of a non-negative number in big-endian bytes.
pub(super) fn integer(number: &[u8]) -> Zeroizing<Vec<u8>> {
    let digits = without_zeros(number);
    // A set top bit would make it negative; zero has one digit.
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        let padded = Zeroizing::new([&[0], digits].concat());
        return tagged(INTEGER, &padded);
    }
    tagged(INTEGER, digits)
}

/// `OCTET STRING`.
pub(super) fn octet_string(content: &[u8]) -> Zeroizing<Vec<u8>> {
    tagged(OCTET_STRING, content)
}

/// `BIT STRING` of whole bytes.
pub(super) fn bit_string(content: &[u8]) -> Zeroizing<Vec<u8>> {
    tagged(BIT_STRING, &[&[0], content].concat())
}

/// An element with any tag.
pub(super) fn tagged(tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let len = content.len();
    let size = len.to_be_bytes();
    let size = without_zeros(&size);
    let mut der = Zeroizing::new(Vec::with_capacity(2 + size.len() + len));
    der.push(tag);
    match len {
        0..=0x7f => der.push(len as u8),
        _ => {
            der.push(0x80 | size.len() as u8);
            der.extend_from_slice(size);
        }
    }
    der.extend_from_slice(content);
    der
}

/// The content of the one `OCTET STRING` that `der` is, whole.
pub(super) fn read_octet_string(der: &[u8]) -> Option<&[u8]> {
    let (tag, content, rest) = read(der)?;
    (tag == OCTET_STRING && rest.is_empty()).then_some(content)
}

/// The content of the elements of the `SEQUENCE` that `der` begins with: PKCS #1's numbers, SEC1's key. Numbers come without leading zeros.
pub(super) fn read_sequence(der: &[u8]) -> Option<Vec<&[u8]>> {
    let (SEQUENCE, mut content, _) = read(der)? else { return None };
    let mut elements = Vec::new();
    while !content.is_empty() {
        let (tag, element, rest) = read(content)?;
        elements.push(if tag == INTEGER { without_zeros(element) } else { element });
        content = rest;
    }
    Some(elements)
}

/// Tag, content and what follows.
fn read(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (size, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (size.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

/// A number without leading zero bytes, as the standard wants its big integers.
pub(super) fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_take_the_short_and_the_long_length() {
        assert_eq!(octet_string(&[7; 65])[..3], [4, 65, 7]);
        assert_eq!(octet_string(&[7; 133])[..4], [4, 0x81, 133, 7]);
        assert_eq!(octet_string(&[7; 300])[..5], [4, 0x82, 1, 44, 7]);
        for len in [0, 65, 133, 300] {
            assert_eq!(read_octet_string(&octet_string(&vec![7; len])), Some(&*vec![7; len]));
        }
        assert_eq!(*bit_string(&[5]), [3, 2, 0, 5]);
    }

    #[test]
    fn numbers_are_never_negative() {
        assert_eq!(*integer(&[]), [2, 1, 0]);
        assert_eq!(*integer(&[0, 0, 0x7f]), [2, 1, 0x7f]);
        assert_eq!(*integer(&[0x80]), [2, 2, 0, 0x80]);
        let pair = sequence(&[&integer(&[0x80]), &integer(&[1])]);
        assert_eq!(read_sequence(&pair), Some(vec![&[0x80][..], &[1]]));
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for bad in [&[][..], &[4], &[4, 2, 1], &[4, 0x82, 1], &[4, 0x80], &[4, 0x85, 0, 0, 0, 0, 0], &[4, 1, 1, 0]] {
            assert_eq!(read_octet_string(bad), None, "{bad:?}");
        }
        assert_eq!(read_sequence(&[0x30, 2, 2, 5]), None);
    }
}
