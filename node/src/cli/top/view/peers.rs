//! The table of peers and the links of one of them. Of the columns those are shown that there is room for, the first ones first.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::Text;
use ratatui::widgets::{Cell, Row as Cells, Table, TableState};

use super::Theme;
use crate::api::{Other, Phase, Snapshot};
use crate::cli::format::{bytes, loss, percent, short};
use crate::cli::table::device;
use crate::cli::top::state::{App, Row, Watched};

/// A column: its title, its width, and what it says.
type Column<T> = (&'static str, u16, fn(&T) -> String);

/// For rows of any life: a constant would be for those that never end.
fn columns<'a>() -> [Column<Row<'a>>; 11] {
    [
        ("peer", 9, |row| match row {
            Row::Own(watched) => {
                format!("*{}", watched.status.as_ref().map_or_else(|| "-".into(), |s| short(Some(s.peer.id.as_str()))))
            }
            Row::Known(other) => format!(" {}", short(Some(other.id.as_str()))),
        }),
        ("state", 8, state),
        ("loss", 6, |row| loss(of(row, |s| s.training.train_loss, |o| o.train_loss))),
        ("acc", 6, |row| percent(of(row, |s| s.training.test_accuracy, |_| None).map(f64::from)).replace(' ', "")),
        ("steps", 8, |row| number(of(row, |s| Some(s.training.steps), |o| o.steps))),
        ("steps/s", 8, |row| {
            let pace = of(row, |s| Some(s.training.steps_per_second), |o| o.steps_per_second);
            pace.map_or_else(|| "-".into(), |pace| format!("{pace:.1}"))
        }),
        ("epoch", 6, |row| number(of(row, |s| Some(u64::from(s.training.epoch)), |_| None))),
        ("sent", 8, |row| size(of(row, |s| Some(s.gossip.bytes_sent), |_| None))),
        ("received", 8, |row| size(of(row, |s| Some(s.gossip.bytes_received), |_| None))),
        ("address", 21, |row| match row {
            Row::Own(watched) => watched.address.to_string(),
            Row::Known(_) => String::new(),
        }),
        ("device", 30, |row| of(row, |s| Some(device(&s.peer.device, &s.peer.backend)), |_| None).unwrap_or_default()),
    ]
}

const LINKS: [Column<Other>; 8] = [
    ("peer", 8, |other| short(Some(other.id.as_str()))),
    ("way", 7, |other| if other.linked { other.way.clone().unwrap_or_default() } else { "others".into() }),
    ("trip", 8, |other| other.round_trip_s.map_or_else(|| "-".into(), |s| format!("{:.1} ms", 1e3 * s))),
    ("silent", 7, |other| other.silent_s.map_or_else(|| "-".into(), |s| format!("{s:.1} s"))),
    ("behind", 6, |other| other.behind.to_string()),
    ("agrees", 6, |other| if other.agrees { "yes".into() } else { "no".into() }),
    ("up", 8, |other| other.linked_s.map_or_else(|| "-".into(), span)),
    ("deltas", 7, |other| other.deltas.to_string()),
];

pub(super) fn table(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let rows = app.rows();
    let all = columns();
    let (columns, widths) = fitting(&all, area.width);
    let lines = rows.iter().map(|row| {
        Cells::new(columns.iter().enumerate().map(|(i, (_, _, say))| cell(i < 2, say(row)))).style(style(row, theme))
    });
    // Who prints one frame picks nothing.
    let mut picked = TableState::default().with_selected((!app.once).then_some(app.row));
    let table = Table::new(lines, widths).header(head(columns, 2, theme)).row_highlight_style(theme.picked());
    frame.render_stateful_widget(table, area, &mut picked);
}

pub(super) fn links(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let Some(status) = app.picked().and_then(|watched| watched.status.as_ref()) else { return };
    let there: Vec<&Other> = status.peers.iter().filter(|other| other.gone_s.is_none()).collect();
    if there.is_empty() {
        let text = if status.run.gossip { "no other peer is there" } else { "it trains alone (--no-gossip)" };
        frame.render_widget(Text::styled(text, theme.faint()), area);
        return;
    }
    let (columns, widths) = fitting(&LINKS, area.width);
    let lines = there.into_iter().map(|other| {
        let style = if other.linked { Style::new() } else { theme.faint() };
        Cells::new(columns.iter().enumerate().map(|(i, (_, _, say))| cell(i < 2, say(other)))).style(style)
    });
    frame.render_widget(Table::new(lines, widths).header(head(columns, 2, theme)), area);
}

/// The first columns that fit, and their widths.
fn fitting<T>(columns: &[Column<T>], width: u16) -> (&[Column<T>], Vec<Constraint>) {
    let mut taken = 0;
    let fits = columns.iter().take_while(|(_, wide, _)| {
        taken += wide + u16::from(taken > 0);
        taken <= width
    });
    let count = fits.count().max(1);
    (&columns[..count], columns[..count].iter().map(|(_, wide, _)| Constraint::Length(*wide)).collect())
}

/// Names to the left, numbers to the right.
fn cell(left: bool, text: String) -> Cell<'static> {
    Cell::from(if left { Text::from(text) } else { Text::from(text).right_aligned() })
}

fn head<T>(columns: &[Column<T>], names: usize, theme: Theme) -> Cells<'static> {
    Cells::new(columns.iter().enumerate().map(|(i, (title, ..))| cell(i < names, (*title).to_owned())))
        .style(theme.faint())
}

fn of<V>(row: &Row<'_>, own: fn(&Snapshot) -> Option<V>, known: fn(&Other) -> Option<V>) -> Option<V> {
    match row {
        Row::Own(watched) => own(watched.status.as_ref()?),
        Row::Known(other) => known(other),
    }
}

fn state(row: &Row<'_>) -> String {
    match row {
        Row::Own(Watched { lost: Some(_), .. }) => "lost".into(),
        Row::Own(Watched { status: Some(status), .. }) => status.phase.name().into(),
        Row::Own(_) => "-".into(),
        Row::Known(other) => match (other.gone_s, other.linked, other.finished) {
            (Some(_), ..) => "gone".into(),
            (None, _, true) => "done".into(),
            (None, true, false) => "linked".into(),
            (None, false, false) => "heard of".into(),
        },
    }
}

fn style(row: &Row<'_>, theme: Theme) -> Style {
    match row {
        Row::Own(Watched { lost: Some(_), .. }) => theme.bad(),
        Row::Own(Watched { status: Some(status), .. }) => match status.phase {
            Phase::Training | Phase::Done => theme.good(),
            _ => theme.warning(),
        },
        Row::Own(_) => theme.faint(),
        Row::Known(other) if other.gone_s.is_some() => theme.bad(),
        Row::Known(_) => Style::new(),
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

fn size(value: Option<u64>) -> String {
    value.map_or_else(|| "-".into(), |value| bytes(value as f64))
}

/// `42 s`, `3 min`, `5.2 h`
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
