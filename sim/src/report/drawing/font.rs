//! The one font, inside the binary: see `NOTICE` beside it.

use std::sync::LazyLock;

use ttf_parser::{Face, GlyphId};

static BYTES: &[u8] = include_bytes!("sans.ttf");

/// `None` only if the file beside this one were no font: a test reads it.
static FACE: LazyLock<Option<Face<'static>>> = LazyLock::new(|| Face::parse(BYTES, 0).ok());

/// What stands for a letter that the font does not have.
const UNKNOWN: char = '?';

pub(super) fn face() -> Option<&'static Face<'static>> {
    FACE.as_ref()
}

pub(super) fn glyph(face: &Face<'_>, letter: char) -> Option<GlyphId> {
    face.glyph_index(letter).or_else(|| face.glyph_index(UNKNOWN))
}

/// Width of a glyph of that size, pixels.
pub(super) fn advance(face: &Face<'_>, glyph: GlyphId, size: f64) -> f64 {
    f64::from(face.glyph_hor_advance(glyph).unwrap_or(0)) / f64::from(face.units_per_em()) * size
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
            face().is_some_and(|face| (' '..='~').chain("·–×…→−äöüθΔ".chars()).all(|c| face.glyph_index(c).is_some()))
        );
        let [i, m] = ["iiii", "mmmm"].map(|text| text_width(text, 12.0));
        assert!(i < m && (5.0..60.0).contains(&m), "{i} {m}");
        assert!((text_width("\u{4e00}", 12.0) - text_width("?", 12.0)).abs() < 1e-9);
    }
}
