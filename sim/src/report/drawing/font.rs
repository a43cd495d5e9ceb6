//! The one font, inside the binary: see `NOTICE` beside it.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, GlyphId, MetadataProvider as _};

static BYTES: &[u8] = include_bytes!("sans.ttf");

/// `None` only if the file beside this one were no font: a test reads it.
static FACE: LazyLock<Option<FontRef<'static>>> = LazyLock::new(|| FontRef::new(BYTES).ok());

/// What stands for a letter that the font does not have.
const UNKNOWN: char = '?';

pub(super) fn face() -> Option<&'static FontRef<'static>> {
    FACE.as_ref()
}

pub(super) fn glyph(face: &FontRef<'_>, letter: char) -> Option<GlyphId> {
    let letters = face.charmap();
    letters.map(letter).or_else(|| letters.map(UNKNOWN))
}

/// In this many of its units a letter is one high.
pub(super) fn units_per_em(face: &FontRef<'_>) -> f64 {
    f64::from(face.metrics(Size::unscaled(), LocationRef::default()).units_per_em)
}

/// Width of a glyph of that size, pixels.
pub(super) fn advance(face: &FontRef<'_>, glyph: GlyphId, size: f64) -> f64 {
    let widths = face.glyph_metrics(Size::unscaled(), LocationRef::default());
    f64::from(widths.advance_width(glyph).unwrap_or(0.0)) / units_per_em(face) * size
}

/// Width of a line of text of that size, pixels.
#[must_use]
pub fn text_width(text: &str, size: f64) -> f64 {
    let Some(face) = face() else { return 0.6 * size * text.chars().count() as f64 };
    text.chars().filter_map(|letter| glyph(face, letter)).map(|glyph| advance(face, glyph, size)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_is_one_and_has_our_letters() {
        assert!(
            face()
                .is_some_and(|face| (' '..='~').chain("·–×…→−äöüθΔ".chars()).all(|c| face.charmap().map(c).is_some()))
        );
        let [i, m] = ["iiii", "mmmm"].map(|text| text_width(text, 12.0));
        assert!(i < m && (5.0..60.0).contains(&m), "{i} {m}");
        assert!((text_width("\u{4e00}", 12.0) - text_width("?", 12.0)).abs() < 1e-9);
    }
}
