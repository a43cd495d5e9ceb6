//! How `starling top` looks: everything at once where there is room, one panel at a time where there is little.

mod curves;
mod peers;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::state::{App, Panel};
use crate::api::Level;

/// From this size on all panels are shown at once.
const WIDE: (u16, u16) = (100, 24);
/// From this height on the peers stay above the panel that is picked.
const TALL: u16 = 20;

/// Colours, or none where the environment says `NO_COLOR`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    pub(super) colours: bool,
}

impl Theme {
    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn faint(self) -> Style {
        if self.colours { Style::new().fg(Color::DarkGray) } else { Style::new() }
    }

    fn good(self) -> Style {
        self.colour(Color::Green)
    }

    fn warning(self) -> Style {
        self.colour(Color::Yellow)
    }

    fn bad(self) -> Style {
        self.colour(Color::Red)
    }

    fn accent(self) -> Style {
        self.colour(Color::Cyan)
    }

    fn picked(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, theme: Theme) {
    let area = frame.area();
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    header(frame, head, app, theme);
    footer(frame, foot, app, theme);
    if area.width >= WIDE.0 && area.height >= WIDE.1 {
        let rows = u16::try_from(app.rows().len()).unwrap_or(u16::MAX).saturating_add(3);
        let upper = rows.clamp(14, (body.height * 3 / 5).max(14));
        let [above, below] = Layout::vertical([Constraint::Length(upper), Constraint::Fill(1)]).areas(body);
        let [left, right] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(above);
        panel(frame, left, app, theme, Panel::Peers);
        panel(frame, right, app, theme, Panel::Curves);
        let [left, right] = Layout::horizontal([Constraint::Fill(2), Constraint::Fill(3)]).areas(below);
        panel(frame, left, app, theme, Panel::Links);
        panel(frame, right, app, theme, Panel::Events);
    } else if area.height >= TALL {
        let rows = u16::try_from(app.rows().len()).unwrap_or(u16::MAX).saturating_add(3);
        let upper = if app.panel == Panel::Peers { body.height } else { rows.min(body.height / 2) };
        let [above, below] = Layout::vertical([Constraint::Length(upper), Constraint::Fill(1)]).areas(body);
        panel(frame, above, app, theme, Panel::Peers);
        if app.panel != Panel::Peers {
            panel(frame, below, app, theme, app.panel);
        }
    } else {
        panel(frame, body, app, theme, app.panel);
    }
    if app.help {
        help(frame, area, theme);
    }
}

fn panel(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme, panel: Panel) {
    let here = app.panel == panel && !app.once;
    let title = if here { theme.accent().add_modifier(Modifier::BOLD) } else { theme.faint() };
    let border = if here { theme.accent() } else { theme.faint() };
    let name = match (panel, app.picked()) {
        (Panel::Curves | Panel::Links, Some(watched)) if app.peers.len() > 1 => {
            format!(" {} of {} ", panel.name(), watched.address)
        }
        _ => format!(" {} ", panel.name()),
    };
    let block = Block::bordered().title(Span::styled(name, title)).border_style(border);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    match panel {
        Panel::Peers => peers::table(frame, inner, app, theme),
        Panel::Links => peers::links(frame, inner, app, theme),
        Panel::Curves => curves::draw(frame, inner, app, theme),
        Panel::Events => events(frame, inner, app, theme),
    }
}

fn header(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    let mut line = vec![Span::styled("starling top", theme.strong().patch(theme.accent()))];
    let known = app.picked().and_then(|watched| watched.status.as_ref());
    if let Some(status) = known {
        let run: String = status.run.id.chars().take(8).collect();
        line.push(Span::raw(format!("  {}", status.run.job)));
        line.push(Span::styled(format!("  run {run}"), theme.faint()));
    }
    let lost = app.peers.iter().filter(|watched| watched.lost.is_some()).count();
    if lost > 0 {
        let text = match (lost, app.peers.as_slice()) {
            (_, [only]) => format!("  {}: {}", only.address, only.lost.as_deref().unwrap_or_default()),
            (lost, all) => format!("  {lost} of {} do not answer", all.len()),
        };
        line.push(Span::styled(text, theme.bad()));
        line.push(Span::styled(if app.once { "" } else { "; tried again" }, theme.bad()));
    } else if known.is_none() {
        line.push(Span::styled("  connecting", theme.faint()));
    }
    frame.render_widget(Line::from(line), area);
    if app.held {
        let width = 6.min(area.width);
        let right = Rect { x: area.right() - width, width, ..area };
        frame.render_widget(Line::styled(" held ", theme.picked()), right);
    }
}

fn footer(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    if app.once {
        return;
    }
    let text = if area.width >= 70 {
        "q quit   p hold the picture   left, right: panel   up, down: line   ? help"
    } else {
        "q quit  p hold  arrows  ? help"
    };
    frame.render_widget(Line::styled(text, theme.faint()), area);
}

fn events(frame: &mut Frame<'_>, area: Rect, app: &App, theme: Theme) {
    if app.events.is_empty() {
        frame.render_widget(Line::styled("nothing yet", theme.faint()), area);
        return;
    }
    let end = app.events.len() - app.back.min(app.events.len() - 1);
    let begin = end.saturating_sub(usize::from(area.height));
    let lines: Vec<Line<'_>> = app
        .events
        .range(begin..end)
        .map(|(peer, entry)| {
            let style = match entry.level {
                Level::Info => Style::new(),
                Level::Warning => theme.warning(),
                Level::Error => theme.bad(),
            };
            let who = app.peers.get(*peer).filter(|_| app.peers.len() > 1);
            let who = who.map_or_else(String::new, |watched| format!("{:>5} ", watched.address.port()));
            Line::from(vec![
                Span::styled(format!("{} ", clock(entry.time_ms)), theme.faint()),
                Span::styled(who, theme.faint()),
                Span::styled(format!("{:<10} ", entry.kind.name()), theme.accent()),
                Span::styled(entry.text.clone(), style),
            ])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

/// Hours, minutes and seconds, UTC.
fn clock(time_ms: u64) -> String {
    let s = time_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

const HELP: &str = "\
q, esc        quit
p, space      hold the picture, and go on
left, right   the panel before, the next
up, down      a line; in the events: back
page up/down  ten lines
home, end     the first, the last
?             this, and away
Training is not touched.";

fn help(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let (width, height) = (46.min(area.width), 10.min(area.height));
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    let block = Block::bordered().title(" keys ").border_style(theme.accent());
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(HELP).wrap(Wrap { trim: false }).block(block), place);
}
