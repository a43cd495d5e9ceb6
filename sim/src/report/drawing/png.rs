//! A drawing as PNG, by tiny-skia; glyphs are filled outlines.

use skrifa::MetadataProvider as _;
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, PremultipliedColorU8, Stroke, StrokeDash,
    Transform,
};

use super::{Anchor, Colour, Drawing, Item, PAPER, font, text_width};

/// Most pixels of a picture: 64 MiB of memory.
const PIXELS_MAX: f64 = (16 << 20) as f64;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// Too many pixels, or none.
    #[error("a picture of {width} by {height} pixels: it may have from 1 to {} in all", PIXELS_MAX)]
    Size {
        /// Pixels.
        width: f64,
        /// Pixels.
        height: f64,
    },
    /// It could not be encoded.
    #[error("the picture cannot be encoded: {0}")]
    Encoding(#[from] png::EncodingError),
}

impl Drawing {
    /// As a file, `scale` pixels for one of the drawing.
    ///
    /// # Errors
    /// More pixels than a picture may have, or none.
    pub fn png(&self, scale: f64) -> Result<Vec<u8>, PngError> {
        let (width, height) = ((self.width * scale).ceil(), (self.height * scale).ceil());
        let none = || PngError::Size { width, height };
        if !(width >= 1.0 && height >= 1.0 && width * height <= PIXELS_MAX) {
            return Err(none());
        }
        let mut pixmap = Pixmap::new(width as u32, height as u32).ok_or_else(none)?;
        let [red, green, blue] = PAPER;
        pixmap.fill(Color::from_rgba8(red, green, blue, 255));
        let to_pixels = Transform::from_scale(scale as f32, scale as f32);
        for item in &self.items {
            paint(item, to_pixels, scale, &mut pixmap);
        }
        let rgb: Vec<u8> =
            pixmap.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
        Ok(encode(width as u32, height as u32, &rgb)?)
    }
}

/// Cells of one pixel each.
pub(super) fn cells(columns: usize, rgb: &[u8]) -> Option<Vec<u8>> {
    let rows = rgb.len() / 3 / columns.max(1);
    encode(u32::try_from(columns).ok()?, u32::try_from(rows).ok()?, rgb.get(..3 * columns * rows)?).ok()
}

fn encode(width: u32, height: u32, rgb: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}

fn paint(item: &Item, to_pixels: Transform, scale: f64, pixmap: &mut Pixmap) {
    match item {
        Item::Rect { x, y, width, height, fill } => {
            let corners = [[*x, *y], [x + width, *y], [x + width, y + height], [*x, y + height]];
            if let Some(path) = path(&corners, true) {
                pixmap.fill_path(&path, &ink(*fill, 1.0), FillRule::Winding, to_pixels, None);
            }
        }
        Item::Area { points, colour, opacity } => {
            if let Some(path) = path(points, true) {
                pixmap.fill_path(&path, &ink(*colour, *opacity), FillRule::Winding, to_pixels, None);
            }
        }
        Item::Line { points, colour, width, dashed } => {
            let stroke = Stroke {
                width: *width as f32,
                line_cap: LineCap::Butt,
                line_join: LineJoin::Round,
                dash: dashed.then(|| StrokeDash::new(vec![6.0, 4.0], 0.0)).flatten(),
                ..Stroke::default()
            };
            if let Some(path) = path(points, false) {
                pixmap.stroke_path(&path, &ink(*colour, 1.0), &stroke, to_pixels, None);
            }
        }
        Item::Text { x, y, text, size, anchor, colour, turned } => {
            let back = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => text_width(text, *size) / 2.0,
                Anchor::End => text_width(text, *size),
            };
            let place = to_pixels.pre_translate(*x as f32, *y as f32).pre_rotate(*turned as f32);
            if let Some(path) = letters(text, *size, -back) {
                pixmap.fill_path(&path, &ink(*colour, 1.0), FillRule::Winding, place, None);
            }
        }
        Item::Image { x, y, width, height, columns, rgb } => {
            image([*x, *y, *width, *height].map(|length| length * scale), *columns, rgb, pixmap);
        }
    }
}

/// The nearest cell for each pixel: cells keep their edges.
fn image([x, y, width, height]: [f64; 4], columns: usize, rgb: &[u8], pixmap: &mut Pixmap) {
    let rows = rgb.len() / 3 / columns.max(1);
    if rows == 0 || width <= 0.0 || height <= 0.0 {
        return;
    }
    let across = pixmap.width() as usize;
    let (right, bottom) =
        (((x + width).round() as usize).min(across), ((y + height).round() as usize).min(pixmap.height() as usize));
    let (left, top) = (x.round().max(0.0) as usize, y.round().max(0.0) as usize);
    let pixels = pixmap.pixels_mut();
    for row in top..bottom {
        let cell_row = (((row as f64 + 0.5 - y) / height * rows as f64) as usize).min(rows - 1);
        for column in left..right {
            let cell =
                cell_row * columns + (((column as f64 + 0.5 - x) / width * columns as f64) as usize).min(columns - 1);
            if let (Some([red, green, blue]), Some(pixel)) = (
                rgb.get(3 * cell..3 * cell + 3).and_then(|cell| <[u8; 3]>::try_from(cell).ok()),
                pixels.get_mut(row * across + column),
            ) && let Some(colour) = PremultipliedColorU8::from_rgba(red, green, blue, 255)
            {
                *pixel = colour;
            }
        }
    }
}

fn ink([red, green, blue]: Colour, opacity: f64) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(red, green, blue, (opacity.clamp(0.0, 1.0) * 255.0).round() as u8);
    paint
}

fn path(points: &[[f64; 2]], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (i, [x, y]) in points.iter().enumerate() {
        let (x, y) = (*x as f32, *y as f32);
        if i == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}

/// Outlines of a line of text, which begins `from` pixels from where it is put.
fn letters(text: &str, size: f64, from: f64) -> Option<Path> {
    let face = font::face()?;
    let scale = (size / font::units_per_em(face)) as f32;
    let outlines = face.outline_glyphs();
    let mut pen = Pen { builder: PathBuilder::new(), x: from as f32, scale };
    for letter in text.chars() {
        let Some(glyph) = font::glyph(face, letter) else { continue };
        if let Some(outline) = outlines.get(glyph) {
            // The font is ours, and a test draws with it: a letter that could not be drawn would be a gap.
            let _ = outline.draw(DrawSettings::unhinted(Size::unscaled(), LocationRef::default()), &mut pen);
        }
        pen.x += font::advance(face, glyph, size) as f32;
    }
    pen.builder.finish()
}

/// Draws a glyph where the text has come to; the font's y goes up.
struct Pen {
    builder: PathBuilder,
    x: f32,
    scale: f32,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x + x * self.scale, -y * self.scale)
    }
}

impl OutlinePen for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.builder.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.builder.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.builder.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.builder.close();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::io::Cursor;

    use super::*;
    use crate::report::drawing::INK;

    fn pixels(bytes: &[u8]) -> (u32, Vec<u8>) {
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        (info.width, rgb)
    }

    #[test]
    fn what_is_drawn_is_where_it_was_put() {
        let mut drawing = Drawing::new(20.0, 10.0, "");
        drawing.rect([10.0, 0.0], [10.0, 10.0], [0, 0, 255]);
        let rgb = vec![255, 0, 0, 0, 255, 0];
        drawing.items.push(Item::Image { x: 0.0, y: 0.0, width: 10.0, height: 4.0, columns: 2, rgb });
        let (width, rgb) = pixels(&drawing.png(2.0).unwrap());
        assert_eq!(width, 40);
        let at = |x: usize, y: usize| <[u8; 3]>::try_from(&rgb[3 * (y * 40 + x)..][..3]).unwrap();
        assert_eq!([at(1, 1), at(15, 1), at(30, 15), at(1, 15)], [[255, 0, 0], [0, 255, 0], [0, 0, 255], PAPER]);
    }

    #[test]
    fn words_leave_ink_where_they_are_anchored() {
        let ink = |anchor, x: f64| {
            let mut drawing = Drawing::new(200.0, 20.0, "");
            drawing.text([x, 15.0], "starling", 12.0, anchor, INK);
            let (width, rgb) = pixels(&drawing.png(1.0).unwrap());
            let dark: Vec<usize> = rgb
                .chunks(3)
                .enumerate()
                .filter(|(_, pixel)| pixel[0] < 128)
                .map(|(i, _)| i % width as usize)
                .collect();
            (*dark.iter().min().unwrap(), *dark.iter().max().unwrap())
        };
        let width = text_width("starling", 12.0) as usize;
        let (left, right) = ink(Anchor::Start, 20.0);
        assert!(
            (20..24).contains(&left) && (20 + width - 4..20 + width + 1).contains(&right),
            "{left} {right} {width}"
        );
        assert!(ink(Anchor::End, 180.0).1 <= 180 && ink(Anchor::Middle, 100.0).0 >= 100 - width / 2);
    }

    #[test]
    fn a_picture_has_a_size() {
        for (width, height, scale) in [(0.0, 10.0, 1.0), (10.0, 10.0, 1e6), (f64::NAN, 1.0, 1.0)] {
            assert!(matches!(Drawing::new(width, height, "").png(scale), Err(PngError::Size { .. })));
        }
    }
}
