//! The weights of a checkpoint as a drawing: the first layer's units as images, the last layer as a matrix.

use protocol::schema::Tensor;
use sim::report::drawing::{Anchor, Colour, Drawing, FAINT, INK, Item, fitted, text_width};

use crate::inference::tiles::{self, Kind, Tiles};
use crate::store::checkpoint::Model;

/// Room around everything.
const GUTTER: f64 = 24.0;
/// Width of the drawing.
const WIDTH: f64 = 1112.0;
/// Height of words.
const WORDS: f64 = 12.0;
/// Height of a title.
const TITLE: f64 = 14.0;
/// Side of a tile, about.
const TILE: f64 = 60.0;
/// Room between tiles.
const GAP: f64 = 6.0;
/// Largest side of a matrix's cell.
const CELL_MAX: f64 = 18.0;
/// Most rows of a matrix that are called by their names.
const NAMED_MAX: usize = 40;
/// Widest name of a row.
const NAME_MAX: f64 = 120.0;

/// The least weight, nothing, the greatest weight.
const MINUS: Colour = [178, 70, 0];
const ZERO: Colour = [250, 250, 250];
const PLUS: Colour = [0, 84, 150];

/// What a checkpoint has learnt.
pub(super) fn draw(model: &Model, name: &str) -> Drawing {
    let about = &model.about;
    let shapes = tiles::Model { schema: model.network.schema(), sample: about.shape.clone(), classes: about.classes };
    let tensors = &shapes.schema.tensors;
    let many = |index: &usize| shapes.kind(*index).is_some_and(|kind| kind != Kind::Vector);
    let mut drawn: Vec<usize> = (0..tensors.len()).filter(many).collect();
    if let [first, .., last] = *drawn.as_slice() {
        drawn = vec![first, last];
    }

    let worth = about.evaluation.map(|worth| worth.accuracy);
    let worth = worth.map_or_else(String::new, |accuracy| format!(", accuracy {:.1} %", 100.0 * accuracy));
    let title = format!("{name}: {} parameters, {} steps{worth}", about.parameters, about.steps);
    let mut sheet = Drawing::new(WIDTH, 0.0, title.clone());
    sheet.text([GUTTER, GUTTER + TITLE], fitted(&title, TITLE, WIDTH - 2.0 * GUTTER), TITLE, Anchor::Start, INK);
    let mut y = GUTTER + 2.0 * TITLE;
    for index in drawn {
        let values = shapes.place(index).and_then(|place| model.weights.get(place));
        let Some(tiles) = values.and_then(|values| shapes.tiles(index, values)) else { continue };
        let names: &[String] = if index + 2 >= tensors.len() { &about.class_names } else { &[] };
        let part = part(&tensors[index], &tiles, names);
        let height = part.height;
        sheet.paste([GUTTER, y], part);
        y += height + GUTTER;
    }
    sheet.height = y;
    sheet
}

/// A tensor under its name, with the scale of its colours.
fn part(tensor: &Tensor, tiles: &Tiles, names: &[String]) -> Drawing {
    let width = WIDTH - 2.0 * GUTTER;
    let most = tiles.cells.iter().fold(0.0f32, |most, cell| most.max(cell.abs()));
    let mut drawing = Drawing::new(width, 0.0, tensor.name.clone());
    let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
    let what = match tiles.kind {
        Kind::Filters if tiles.tiles < tiles.units => {
            format!("the first {} of {} units, each as an image", tiles.tiles, tiles.units)
        }
        Kind::Filters => format!("{} units, each as an image", tiles.units),
        _ => format!("{} rows, a unit each", tiles.units),
    };
    let title = format!("{} [{}]: {what}", tensor.name, shape.join(", "));
    drawing.text([0.0, WORDS], fitted(&title, WORDS, width - 260.0), WORDS, Anchor::Start, INK);
    legend(&mut drawing, width, most);
    let top = WORDS + 12.0;
    let bottom = if tiles.kind == Kind::Filters {
        filters(&mut drawing, tiles, most, top)
    } else {
        matrix(&mut drawing, tiles, most, top, names)
    };
    drawing.height = bottom;
    drawing
}

/// What the colours stand for, at the right.
fn legend(drawing: &mut Drawing, width: f64, most: f32) {
    const STEPS: usize = 41;
    let (wide, high) = (100.0, 10.0);
    let right = format!("{most:.3}");
    let x = width - text_width(&right, WORDS) - 6.0 - wide;
    let shades = (0..STEPS).map(|i| 2.0 * i as f32 / (STEPS - 1) as f32 - 1.0);
    let rgb = shades.flat_map(|share| colour(share, 1.0)).collect();
    drawing.text([x - 6.0, WORDS], format!("−{right}"), WORDS, Anchor::End, FAINT);
    drawing.items.push(Item::Image { x, y: WORDS - high + 1.0, width: wide, height: high, columns: STEPS, rgb });
    drawing.text([x + wide + 6.0, WORDS], right, WORDS, Anchor::Start, FAINT);
}

/// Tile beside tile. Returns where they end.
fn filters(drawing: &mut Drawing, tiles: &Tiles, most: f32, top: f64) -> f64 {
    // Whole pixels a cell, so that cells are alike.
    let cell = (TILE / tiles.width.max(tiles.height) as f64).floor().max(1.0);
    let (width, height) = (cell * tiles.width as f64, cell * tiles.height as f64);
    let columns = (((drawing.width + GAP) / (width + GAP)).floor() as usize).clamp(1, tiles.tiles.max(1));
    let area = tiles.width * tiles.height;
    for (i, cells) in tiles.cells.chunks(area.max(1)).enumerate() {
        let x = (i % columns) as f64 * (width + GAP);
        let y = top + (i / columns) as f64 * (height + GAP);
        let rgb = cells.iter().flat_map(|&cell| colour(cell, most)).collect();
        drawing.items.push(Item::Image { x, y, width, height, columns: tiles.width, rgb });
    }
    top + tiles.tiles.div_ceil(columns) as f64 * (height + GAP) - GAP
}

/// The matrix, with the names of its rows where there are some. Returns where it ends.
fn matrix(drawing: &mut Drawing, tiles: &Tiles, most: f32, top: f64, names: &[String]) -> f64 {
    let named = tiles.height <= NAMED_MAX && tiles.units == tiles.height;
    let name = |row: usize| {
        let name = names.get(row).filter(|_| names.len() == tiles.height);
        fitted(&name.cloned().unwrap_or_else(|| row.to_string()), WORDS, NAME_MAX)
    };
    let left =
        if named { (0..tiles.height).map(|row| text_width(&name(row), WORDS)).fold(0.0, f64::max) + GAP } else { 0.0 };
    let cell = ((drawing.width - left) / tiles.width.max(1) as f64).floor().clamp(1.0, CELL_MAX);
    // Rows are as high as their words where they have some.
    let high = if named { cell.max(WORDS + 3.0) } else { cell };
    let (width, height) = (cell * tiles.width as f64, high * tiles.height as f64);
    let rgb = tiles.cells.iter().flat_map(|&cell| colour(cell, most)).collect();
    drawing.items.push(Item::Image { x: left, y: top, width, height, columns: tiles.width, rgb });
    if named {
        for row in 0..tiles.height {
            let y = top + (row as f64 + 0.5) * high + WORDS / 3.0;
            drawing.text([left - GAP, y], name(row), WORDS, Anchor::End, FAINT);
        }
    }
    top + height
}

/// From the least weight over nothing to the greatest.
fn colour(weight: f32, most: f32) -> Colour {
    let share = if most > 0.0 { (weight / most).clamp(-1.0, 1.0) } else { 0.0 };
    let end = if share < 0.0 { MINUS } else { PLUS };
    std::array::from_fn(|i| {
        let (zero, end) = (f32::from(ZERO[i]), f32::from(end[i]));
        (zero + share.abs() * (end - zero)).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_tell_the_sign_and_the_size() {
        assert_eq!(
            [colour(-1.0, 1.0), colour(0.0, 1.0), colour(2.0, 1.0), colour(1.0, 0.0)],
            [MINUS, ZERO, PLUS, ZERO]
        );
        assert!(colour(0.5, 1.0)[0] > PLUS[0] && colour(0.5, 1.0)[0] < ZERO[0]);
        assert_eq!(colour(f32::NAN, 1.0), [0, 0, 0], "what is no number is black");
    }

    #[test]
    fn tiles_do_not_overlap_and_every_cell_is_drawn() {
        for (width, height, count) in [(28, 28, 64), (3, 3, 16), (5, 7, 1), (200, 200, 2)] {
            let cells = vec![0.5; width * height * count];
            let tiles = Tiles { kind: Kind::Filters, units: count, tiles: count, width, height, cells };
            let tensor = Tensor { name: "layers.0.weight".into(), shape: vec![count as u32, (width * height) as u32] };
            let drawing = part(&tensor, &tiles, &[]);
            let places: Vec<[f64; 4]> = drawing
                .items
                .iter()
                .filter_map(|item| match item {
                    Item::Image { x, y, width, height, columns, rgb }
                        if *columns > 1 && rgb.len() / 3 / columns > 1 =>
                    {
                        Some([*x, *y, x + width, y + height])
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(places.len(), count);
            for (i, a) in places.iter().enumerate() {
                assert!(a[2] <= drawing.width && a[3] <= drawing.height, "{a:?}");
                assert!(places[i + 1..].iter().all(|b| b[0] >= a[2] || b[1] >= a[3]));
            }
        }
    }

    #[test]
    fn rows_of_the_last_layer_have_the_names_of_their_classes() {
        let tiles = Tiles { kind: Kind::Matrix, units: 3, tiles: 1, width: 8, height: 3, cells: vec![0.1; 24] };
        let tensor = Tensor { name: "head".into(), shape: vec![3, 8] };
        let names = ["cat", "dog", "cow"].map(str::to_owned);
        let svg = part(&tensor, &tiles, &names).svg();
        assert!(names.iter().all(|name| svg.contains(&format!(">{name}</text>"))), "{svg}");
        assert!(
            part(&tensor, &tiles, &names[..2]).svg().contains(">2</text>"),
            "names of other rows are none of these"
        );
    }
}
