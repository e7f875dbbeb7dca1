//! Numbers of a fixed number of digits, out of ranges.

/// Widest number, in digits.
pub(crate) const MAX_WIDTH: usize = 18;

/// Numbers that are written with `width` digits, zeros in front.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// In order, without common numbers.
    ranges: Vec<(u64, u64)>,
    width: usize,
}

impl Numbers {
    /// Those of the ranges that `width` digits can write, less some. The width is at most 18.
    pub(crate) fn new(ranges: &[(u64, u64)], width: usize, without: &[u64]) -> Self {
        let most = 10_u64.pow(u32::try_from(width.min(MAX_WIDTH)).unwrap_or_default()) - 1;
        let mut ranges: Vec<_> = ranges.iter().map(|(low, high)| (*low, (*high).min(most))).filter(|(low, high)| low <= high).collect();
        ranges.sort_unstable();
        for gone in without {
            let split = |(low, high): (u64, u64)| {
                let below = (low < *gone).then(|| (low, high.min(gone - 1)));
                let above = (high > *gone).then(|| (low.max(gone + 1), high));
                below.into_iter().chain(above)
            };
            ranges = ranges.into_iter().flat_map(|range| split(range).collect::<Vec<_>>()).collect();
        }
        let mut apart: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match apart.last_mut() {
                Some(last) if last.1 >= low => last.1 = last.1.max(high),
                _ => apart.push((low, high)),
            }
        }
        Self { ranges: apart, width }
    }

    /// Digits of each of them.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn count(&self) -> u64 {
        self.ranges.iter().map(|(low, high)| high - low + 1).sum()
    }

    /// The value of a number; `None` for one that is not among them.
    pub(crate) fn value(&self, number: u64) -> Option<u64> {
        let mut before = 0;
        for (low, high) in &self.ranges {
            if (*low..=*high).contains(&number) {
                return Some(before + number - low);
            }
            before += high - low + 1;
        }
        None
    }

    /// The digits of a value.
    pub(crate) fn write(&self, mut value: u64) -> Option<String> {
        for (low, high) in &self.ranges {
            let count = high - low + 1;
            if value < count {
                return Some(format!("{:0width$}", low + value, width = self.width));
            }
            value -= count;
        }
        None
    }
}

/// The number that digits write; `None` where they are no digits, or more than 18.
pub(crate) fn number(digits: &[char]) -> Option<u64> {
    if digits.is_empty() || digits.len() > MAX_WIDTH {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| Some(number * 10 + u64::from(digit.to_digit(10)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_some() {
        let numbers = Numbers::new(&[(5, 2000), (1, 3)], 3, &[2, 666, 999]);
        assert_eq!(numbers.count(), 2 + (999 - 5 + 1) - 2);
        assert_eq!((numbers.value(1), numbers.value(2), numbers.value(3), numbers.value(5)), (Some(0), None, Some(1), Some(2)));
        for value in 0..numbers.count() {
            let digits: Vec<char> = numbers.write(value).unwrap().chars().collect();
            assert_eq!((digits.len(), numbers.value(number(&digits).unwrap())), (3, Some(value)));
        }
        assert_eq!(numbers.write(numbers.count()), None);
        assert_eq!(Numbers::new(&[(100, 200)], 2, &[]).count(), 0);
        assert_eq!((number(&['1', 'x']), number(&[]), number(&['9'; 19])), (None, None, None));
    }
}
