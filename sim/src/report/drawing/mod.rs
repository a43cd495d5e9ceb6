//! Pictures as plain data: rectangles, lines, areas, words and images, written as an SVG ([`Drawing::svg`]) or as a PNG ([`Drawing::png`])
//! that looks the same.
//!
//! Words are measured with the font that the PNG is drawn with ([`text_width`]); a viewer of the SVG takes its own sans-serif, which is
//! about as wide.

mod font;
mod png;
mod svg;

pub use font::text_width;
pub use png::PngError;

/// Red, green, blue.
pub type Colour = [u8; 3];

/// Behind everything.
pub const PAPER: Colour = [255, 255, 255];
/// Words.
pub const INK: Colour = [28, 36, 48];
/// Words that matter less.
pub const FAINT: Colour = [90, 102, 117];
/// Lines that help the eye.
pub const GRID: Colour = [225, 230, 236];
/// One a run, told apart by people who see few colours, too (after Okabe and Ito, darkened for white paper).
pub const COLOURS: [Colour; 8] = [
    [0, 114, 178],
    [213, 94, 0],
    [0, 142, 104],
    [170, 68, 140],
    [184, 134, 11],
    [46, 60, 140],
    [150, 40, 40],
    [70, 106, 122],
];

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// It begins there.
    Start,
    /// It is centred there.
    Middle,
    /// It ends there.
    End,
}

/// A piece of a picture; lengths are pixels at scale 1, y goes down.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A filled rectangle.
    Rect {
        /// Left.
        x: f64,
        /// Top.
        y: f64,
        /// Extent.
        width: f64,
        /// Extent.
        height: f64,
        /// Inside.
        fill: Colour,
    },
    /// A line through points.
    Line {
        /// x, y.
        points: Vec<[f64; 2]>,
        /// Its colour.
        colour: Colour,
        /// Its width.
        width: f64,
        /// Whether it has gaps.
        dashed: bool,
    },
    /// What points surround, seen through.
    Area {
        /// x, y.
        points: Vec<[f64; 2]>,
        /// Its colour.
        colour: Colour,
        /// 0 to 1.
        opacity: f64,
    },
    /// A line of text; `y` is its base line.
    Text {
        /// Where it is anchored.
        x: f64,
        /// Base line.
        y: f64,
        /// The words.
        text: String,
        /// Height of a line.
        size: f64,
        /// Where `x` is in it.
        anchor: Anchor,
        /// Its colour.
        colour: Colour,
        /// Clockwise, degrees.
        turned: f64,
    },
    /// Cells of one colour each.
    Image {
        /// Left.
        x: f64,
        /// Top.
        y: f64,
        /// Extent.
        width: f64,
        /// Extent.
        height: f64,
        /// Cells of a row.
        columns: usize,
        /// Row by row, [rows, columns, 3].
        rgb: Vec<u8>,
    },
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// Extent, pixels at scale 1.
    pub width: f64,
    /// Extent.
    pub height: f64,
    /// What it shows, for who cannot see it.
    pub title: String,
    /// What is drawn, the last one above the others.
    pub items: Vec<Item>,
}

impl Drawing {
    /// An empty sheet.
    #[must_use]
    pub fn new(width: f64, height: f64, title: impl Into<String>) -> Self {
        Self { width, height, title: title.into(), items: Vec::new() }
    }

    /// Adds a filled rectangle.
    pub fn rect(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], fill: Colour) {
        self.items.push(Item::Rect { x, y, width, height, fill });
    }

    /// Adds a line.
    pub fn line(&mut self, points: Vec<[f64; 2]>, colour: Colour, width: f64) {
        self.items.push(Item::Line { points, colour, width, dashed: false });
    }

    /// Adds words.
    pub fn text(&mut self, [x, y]: [f64; 2], text: impl Into<String>, size: f64, anchor: Anchor, colour: Colour) {
        self.items.push(Item::Text { x, y, text: text.into(), size, anchor, colour, turned: 0.0 });
    }

    /// Adds another picture, its corner at that place.
    pub fn paste(&mut self, [dx, dy]: [f64; 2], other: Self) {
        for mut item in other.items {
            match &mut item {
                Item::Rect { x, y, .. } | Item::Text { x, y, .. } | Item::Image { x, y, .. } => {
                    *x += dx;
                    *y += dy;
                }
                Item::Line { points, .. } | Item::Area { points, .. } => {
                    points.iter_mut().for_each(|[x, y]| (*x, *y) = (*x + dx, *y + dy));
                }
            }
            self.items.push(item);
        }
    }
}

/// `text`, or as much of it as `width` pixels hold, its middle left out.
#[must_use]
pub fn fitted(text: &str, size: f64, width: f64) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut keep = chars.len();
    loop {
        let shown: String = if keep == chars.len() {
            text.to_owned()
        } else {
            let front = keep.div_ceil(2);
            chars[..front].iter().chain(&['…']).chain(&chars[chars.len() - (keep - front)..]).collect()
        };
        if keep == 0 || text_width(&shown, size) <= width {
            return shown;
        }
        keep -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_in_their_middle() {
        assert_eq!(fitted("short", 12.0, 100.0), "short");
        let cut = fitted("a/very/long/path/to/a/run.json", 12.0, 100.0);
        assert!(cut.starts_with("a/v") && cut.ends_with(".json") && cut.contains('…'), "{cut}");
        assert!(text_width(&cut, 12.0) <= 100.0);
        assert_eq!(fitted("word", 12.0, 1.0), "…", "it ends");
    }
}
