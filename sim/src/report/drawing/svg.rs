//! A drawing as SVG text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Anchor, Colour, Drawing, Item, PAPER, png};

impl Drawing {
    /// As a file that needs nothing else.
    #[must_use]
    pub fn svg(&self) -> String {
        self.write(" xmlns=\"http://www.w3.org/2000/svg\"")
    }

    /// The same as a part of a page.
    #[must_use]
    pub fn svg_in_page(&self) -> String {
        self.write("")
    }

    fn write(&self, namespace: &str) -> String {
        let (width, height) = (number(self.width), number(self.height));
        let title = escape(&self.title);
        let mut out = format!(
            "<svg{namespace} viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
             aria-label=\"{title}\" font-family=\"DejaVu Sans, Verdana, sans-serif\">\n<title>{title}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\n",
            hex(PAPER)
        );
        self.items.iter().for_each(|item| write(item, &mut out));
        out + "</svg>\n"
    }
}

fn write(item: &Item, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match item {
        Item::Rect { x, y, width, height, fill } => {
            let [x, y, width, height] = [x, y, width, height].map(|length| number(*length));
            writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{}\"/>", hex(*fill))
        }
        Item::Line { points, colour, width, dashed } => {
            let dashes = if *dashed { " stroke-dasharray=\"6 4\"" } else { "" };
            let (colour, width) = (hex(*colour), number(*width));
            writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dashes}/>",
                list(points)
            )
        }
        Item::Area { points, colour, opacity } => {
            let (points, colour, opacity) = (list(points), hex(*colour), number(*opacity));
            writeln!(out, "<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>")
        }
        Item::Text { x, y, text, size, anchor, colour, turned } => {
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let (x, y, size) = (number(*x), number(*y), number(*size));
            let turn = if *turned == 0.0 {
                String::new()
            } else {
                format!(" transform=\"rotate({} {x} {y})\"", number(*turned))
            };
            let (colour, text) = (hex(*colour), escape(text));
            writeln!(
                out,
                "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{colour}\"{anchor}{turn}>{text}</text>"
            )
        }
        Item::Image { x, y, width, height, columns, rgb } => {
            let [x, y, width, height] = [x, y, width, height].map(|length| number(*length));
            // An image that cannot be encoded is one of no cells: there is nothing to show.
            let bytes = png::cells(*columns, rgb).unwrap_or_default();
            writeln!(
                out,
                "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
                 style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
                STANDARD.encode(bytes)
            )
        }
    };
}

fn list(points: &[[f64; 2]]) -> String {
    points.iter().map(|[x, y]| format!("{},{}", number(*x), number(*y))).collect::<Vec<_>>().join(" ")
}

/// A tenth of a pixel is as fine as anybody sees; opacities are given to two digits.
fn number(value: f64) -> String {
    let text = if value.abs() < 1.0 { format!("{value:.2}") } else { format!("{value:.1}") };
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if matches!(text, "-0" | "") { "0".to_owned() } else { text.to_owned() }
}

fn hex([red, green, blue]: Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text between tags or quotes; control characters, which XML cannot have, are left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::drawing::INK;

    #[test]
    fn numbers_are_short_and_words_harmless() {
        assert_eq!(
            ["0", "1", "-0.04", "12.3", "0.15"],
            [0.0, 1.0, -0.04, 12.34, 0.15].map(number).each_ref().map(String::as_str)
        );
        assert_eq!([number(100.0), number(-0.001)], ["100", "0"]);
        let mut drawing = Drawing::new(10.0, 20.0, "a \"b\"");
        drawing.text([1.0, 2.0], "<script>&\u{1b}[2J", 12.0, Anchor::Middle, INK);
        let svg = drawing.svg();
        assert!(
            svg.contains("&lt;script&gt;&amp;[2J</text>") && svg.contains("aria-label=\"a &quot;b&quot;\""),
            "{svg}"
        );
    }

    #[test]
    fn an_image_is_in_the_file() {
        let mut drawing = Drawing::new(4.0, 4.0, "");
        let rgb = vec![255, 0, 0, 0, 255, 0];
        drawing.items.push(Item::Image { x: 0.0, y: 0.0, width: 4.0, height: 2.0, columns: 2, rgb });
        assert!(drawing.svg().contains("data:image/png;base64,iVBORw0KGgo"), "{}", drawing.svg());
    }
}
