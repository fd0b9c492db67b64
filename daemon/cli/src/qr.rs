//! QR codes drawn with half blocks, two modules a character, for a phone held in front of the terminal.

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

/// Longest text drawn. Version 22 with low correction holds 1,003 bytes and is 105 modules wide: with its quiet
/// zone 113 columns, the most that an ordinary terminal shows.
pub const MAX_QR_BYTES: usize = 1_003;

/// The code as lines of text, or `None` where the text is too long to be scanned from a terminal.
///
/// Light modules are drawn as full blocks: most terminals are dark, and few scanners accept
/// inverted codes.
#[must_use]
pub fn draw(text: &str) -> Option<String> {
    if text.len() > MAX_QR_BYTES {
        return None;
    }
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    Some(
        code.render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .quiet_zone(true)
            .build(),
    )
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
        assert!(code.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn longest_text_fits_113_columns_and_longer_is_not_drawn() {
        let code = draw(&"x".repeat(MAX_QR_BYTES)).unwrap();
        assert_eq!(code.lines().map(|line| line.chars().count()).max(), Some(113));
        assert!(draw(&"x".repeat(MAX_QR_BYTES + 1)).is_none());
    }
}
