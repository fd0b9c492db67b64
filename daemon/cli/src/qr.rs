//! QR codes drawn with half blocks, two modules a character, for a phone held in front of the terminal.
//!
//! Both colours are set, white and black: a terminal's own may be either way round, and few scanners accept inverted
//! codes.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// Longest text drawn. Version 22 with low correction holds 1,003 bytes and is 105 modules wide: with its quiet
/// zone 113 columns, the most that an ordinary terminal shows.
pub const MAX_QR_BYTES: usize = 1_003;

/// Before a line: white blocks on black, from the fixed part of the 256 colours.
pub const COLOURS: &str = "\x1b[38;5;231;48;5;16m";
/// After it: as before.
pub const PLAIN: &str = "\x1b[0m";

/// The code as lines of text in colours of their own, or `None` where the text is too long to be scanned from a terminal.
///
/// Light modules are drawn as full blocks.
#[must_use]
pub fn draw(text: &str) -> Option<String> {
    if text.len() > MAX_QR_BYTES {
        return None;
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    Some(drawn.lines().map(|line| format!("{COLOURS}{line}{PLAIN}")).collect::<Vec<_>>().join("\n"))
}

/// Columns that a drawn line takes.
#[cfg(test)]
pub(crate) fn columns(line: &str) -> usize {
    line.trim_start_matches(COLOURS).trim_end_matches(PLAIN).chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qr_of_a_receive_address_fits_a_small_terminal() {
        let code =
            draw("bitcoin:bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry?amount=0.25")
                .unwrap();
        assert!(code.lines().count() <= 24);
        assert!(code.lines().all(|line| columns(line) <= 80));
        let both_colours = |line: &str| line.starts_with(COLOURS) && line.ends_with(PLAIN);
        assert!(code.lines().all(both_colours), "light terminals show it too");
    }

    #[test]
    fn longest_text_fits_113_columns_and_longer_is_not_drawn() {
        let code = draw(&"x".repeat(MAX_QR_BYTES)).unwrap();
        assert_eq!(code.lines().map(columns).max(), Some(113));
        assert!(draw(&"x".repeat(MAX_QR_BYTES + 1)).is_none());
    }
}
