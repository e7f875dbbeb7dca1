//! Luhn's check digit (ISO/IEC 7812-1, annex B).

/// The sum of digits, modulo ten: 0 for a valid number.
pub(crate) fn sum(digits: &[u8]) -> u32 {
    digits.iter().rev().enumerate().map(|(place, digit)| weight(place, u32::from(*digit))).sum::<u32>() % 10
}

/// Sets the one digit at `index` with which the number is valid. Each digit adds another weight, so there is exactly one.
pub(crate) fn mend(digits: &mut [u8], index: usize) {
    for digit in 0..10 {
        digits[index] = digit;
        if sum(digits) == 0 {
            return;
        }
    }
}

/// What a digit adds, `place` counting from the end.
const fn weight(place: usize, digit: u32) -> u32 {
    let doubled = digit * 2;
    if place.is_multiple_of(2) {
        digit
    } else if doubled > 9 {
        doubled - 9
    } else {
        doubled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers() {
        // Published test numbers of card schemes.
        for number in ["4111111111111111", "378282246310005", "5555555555554444"] {
            let mut digits: Vec<u8> = number.bytes().map(|byte| byte - b'0').collect();
            assert_eq!(sum(&digits), 0);
            for index in 0..digits.len() {
                let right = std::mem::replace(&mut digits[index], 7);
                mend(&mut digits, index);
                assert_eq!(digits[index], right);
            }
            digits[0] ^= 1;
            assert_ne!(sum(&digits), 0);
        }
    }
}
