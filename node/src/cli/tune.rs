//! `starling device tune`: measures every preset of a job's products on a device, and keeps what is fastest.

use shaders::engine::DeviceInfo;
use shaders::engine::products::{Choices, Preset, Shape};
use shaders::engine::tune::{Measured, winner};

use super::args::DeviceJob;
use super::{device, engine, say};
use crate::error::{Error, Kind};
use crate::store::tuned::{self, Tuned};

pub(super) fn run(args: &DeviceJob) -> Result<(), Error> {
    let job = device::read(args)?;
    let folder = tuned::folder().ok_or_else(|| {
        Error::new(Kind::Input, "this user has no home directory, and no cache to keep choices in")
            .hint("HOME or XDG_CACHE_HOME names a place")
    })?;
    tuned::prepare(&folder)?;
    say::line(&heading())?;
    // Kept class by class: who ends it loses nothing of what was measured.
    let (info, outside) = engine::tune(&job, &args.device, &mut |info, shape, measured| {
        let chosen = winner(measured).map(|preset| (shape.class(), preset));
        tuned::save(&folder, info, &chosen.into_iter().collect::<Tuned>())?;
        say::line(&row(shape, measured))
    })?;
    for (shape, bytes) in outside {
        let [rows, columns, depth] = shape.extents();
        say::line(&format!(
            "{:<23}{:>20}  not measured: it takes {} MiB, more than half of what is free or more than the device binds",
            shape.product.name(),
            format!("{rows} x {columns} x {depth}"),
            bytes >> 20
        ))?;
    }
    say::line(&format!(
        "Gflop/s on {} ({}, {}); * is kept in {} for this device and is used by run, sim and profile",
        info.name,
        info.backend,
        info.driver,
        tuned::place(&folder, &info).display()
    ))
}

/// Presets as they are shown: f16, which is never kept, last.
fn columns() -> impl Iterator<Item = &'static (Preset, &'static str, &'static str)> {
    Preset::ALL.iter().chain([&Preset::HALF])
}

fn heading() -> String {
    let presets: String = columns().map(|(_, name, _)| format!("{name:>10}")).collect();
    format!("{:<23}{:>20} {:>5}{presets}", "product", "rows x cols x depth", "wide")
}

/// A shape and the rate of every preset, the fastest marked.
fn row(shape: &Shape, measured: &[Measured]) -> String {
    let best = winner(measured);
    let cell = |preset: Preset| match measured.iter().find(|one| one.preset == preset) {
        None => "-".to_owned(),
        Some(Measured { seconds: None, .. }) => "wrong".to_owned(),
        Some(Measured { seconds: Some(seconds), .. }) => {
            let rate = shape.cost().flops as f64 / seconds / 1e9;
            format!("{rate:.1}{}", if best == Some(preset) { "*" } else { "" })
        }
    };
    let cells: String = columns().map(|(preset, ..)| format!("{:>10}", cell(*preset))).collect();
    let [rows, columns, depth] = shape.extents();
    let extents = format!("{rows} x {columns} x {depth}");
    let wide = if shape.wide { "yes" } else { "no" };
    format!("{:<23}{extents:>20} {wide:>5}{cells}", shape.product.name())
}

/// How a device multiplies, for `device ls`.
pub(super) fn described(info: &DeviceInfo) -> String {
    let (tuned, ignored) = tuned::load(info);
    if let Some(why) = ignored {
        return format!("products: {why}");
    }
    if tuned.is_empty() {
        let rule = if Choices::untuned(info) == Choices::PLAIN { "plain" } else { "tiles by shape" };
        return format!("products: {rule}, not tuned (`starling device tune`)");
    }
    let count = |preset: Preset| tuned.values().filter(|chosen| **chosen == preset).count();
    let each: Vec<_> = Preset::ALL
        .iter()
        .filter(|(preset, ..)| count(*preset) > 0)
        .map(|(preset, name, _)| format!("{name} for {}", count(*preset)))
        .collect();
    format!("products: tuned for {} classes of shapes, {}", tuned.len(), each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shaders::engine::products::Product;

    #[test]
    fn a_row_names_what_is_fastest_and_what_is_wrong() {
        let shape = Shape::new(Product::Forward, true, &[100, 100, 100]);
        let seconds = [Some(2e-3), Some(1e-3), None, Some(4e-3)];
        let mut measured: Vec<_> = Preset::ALL
            .iter()
            .zip(seconds)
            .map(|((preset, ..), seconds)| Measured { preset: *preset, seconds })
            .collect();
        // The fastest of all, and no choice of a device.
        measured.push(Measured { preset: Preset::Half64, seconds: Some(5e-4) });
        let found = row(&shape, &measured);
        let words: Vec<_> = found.split_whitespace().collect();
        assert_eq!(words[6..], ["yes", "1.0", "2.0*", "wrong", "0.5", "-", "-", "4.0"]);
        assert_eq!(found.len(), heading().len());
    }
}
