//! Durations as people type them: `90`, `90s`, `10m`, `12h`, `7d`. A bare number means seconds.

/// Longest duration: a year. A verb may allow less.
const MAX_SECONDS: u64 = 365 * 24 * 60 * 60;

/// Parses a duration into seconds.
///
/// # Errors
/// A sentence for the person who typed it: the unit is unknown, the number is not whole, or the
/// duration is 0 or longer than a year.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        other => return Err(format!("`{other}` is not a unit: write 90s, 10m, 12h or 7d")),
    };
    let number: u64 = digits.parse().map_err(|_| "write a whole number and a unit: 90s, 10m, 12h, 7d")?;
    number
        .checked_mul(unit)
        .filter(|seconds| (1..=MAX_SECONDS).contains(seconds))
        .ok_or_else(|| "a time is between 1s and 365d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_with_units() {
        let read = ["90", "90s", "10m", "12h", "7d", "365d"].map(|text| seconds(text).unwrap());
        assert_eq!(read, [90, 90, 600, 43_200, 604_800, 31_536_000]);
        for text in ["", "0", "0s", "7 d", "d", "-1h", "1.5h", "366d", "99999999999999999999d", "7w", "1hh"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
