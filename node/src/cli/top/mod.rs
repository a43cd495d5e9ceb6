//! `starling top`: how running peers stand, in a terminal. It reads what their dashboards say and changes nothing.
//!
//! ```text
//! a thread a peer (client.rs) --bounded queue--> App (state.rs) --> a frame (view.rs)
//!                                   keys ------------^
//! ```

mod client;
mod state;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event;
use serde::Serialize;

use self::client::{Door, News};
use self::state::{After, App};
use self::view::{Theme, draw};
use super::args::TopArgs;
use super::files::JsonTarget;
use super::{place, say, signals};
use crate::api::{self, Snapshot};
use crate::error::{Error, Kind};

/// News that may wait for the screen; who tells more waits with it.
const NEWS_MAX: usize = 1024;
/// Between two looks at keys and news.
const TURN: Duration = Duration::from_millis(100);
/// A frame is drawn at least so often: the window may have changed.
const FRAME_EVERY: Duration = Duration::from_secs(1);
/// Columns and lines of the frame that `--once` prints where `COLUMNS` and `LINES` do not say another size.
const FRAME: (u16, u16) = (120, 40);
/// The largest frame that they may ask for: one of more cells is no terminal.
const SIDE_MAX: u16 = 500;
/// The smallest one.
const SIDE_MIN: u16 = 10;

/// A peer, as `--json` writes it.
#[derive(Debug, Serialize)]
struct Written {
    address: String,
    /// As `GET /v1/status` says it; null when it did not answer.
    status: Option<Snapshot>,
    error: Option<String>,
}

pub(super) fn run(args: &TopArgs) -> Result<(), Error> {
    let json = JsonTarget::new("--json", args.json.as_deref())?;
    let addresses: Vec<SocketAddr> = args.places.iter().flat_map(|places| places.0.iter().copied()).collect();
    if addresses.len() > place::PEERS_MAX {
        return Err(Error::new(Kind::Usage, format!("{} peers: {} at most", addresses.len(), place::PEERS_MAX))
            .hint("each shows the others that it knows, too: a few are enough"));
    }
    let token = args.dashboard_token.as_deref().map(api::read_token).transpose()?;
    let doors: Vec<Door> = addresses.iter().map(|&address| Door { address, token: token.clone() }).collect();
    if args.json.is_some() {
        return write_json(&doors, &json);
    }
    if args.once {
        return print_once(&doors);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Error::new(Kind::Usage, "`starling top` wants a terminal, and this is none")
            .hint("--once prints one frame as text, --json - the states as JSON"));
    }
    live(&doors)
}

/// Asks all of them at once.
fn look(doors: &[Door]) -> App {
    let mut app = App::new(&doors.iter().map(|door| door.address).collect::<Vec<_>>());
    app.once = true;
    let asked: Vec<_> = doors.iter().cloned().map(|door| thread::spawn(move || door.look())).collect();
    for (peer, asked) in asked.into_iter().enumerate() {
        match asked.join() {
            Ok(Ok((status, curves, events))) => {
                app.hear(peer, News::Status(Box::new(status)));
                app.hear(peer, News::Curves(Box::new(curves)));
                events.into_iter().for_each(|entry| app.hear(peer, News::Event(Box::new(entry))));
            }
            Ok(Err(why)) => app.hear(peer, News::Lost(why)),
            Err(_) => app.hear(peer, News::Lost("asking has failed".to_owned())),
        }
    }
    app
}

/// An error where nobody answers.
fn answered(app: &App) -> Result<(), Error> {
    if app.peers.iter().any(|watched| watched.status.is_some()) {
        return Ok(());
    }
    let each =
        app.peers.iter().map(|watched| format!("{}: {}", watched.address, watched.lost.as_deref().unwrap_or("-")));
    Err(Error::new(Kind::Network, each.collect::<Vec<_>>().join("; "))
        .hint("`starling run` says where its dashboard is; a simulation has them with --dashboard 127.0.0.1:7878"))
}

fn write_json(doors: &[Door], json: &JsonTarget) -> Result<(), Error> {
    let app = look(doors);
    answered(&app)?;
    let written = app.peers.into_iter().map(|watched| Written {
        address: watched.address.to_string(),
        status: watched.status,
        error: watched.lost,
    });
    json.write(&written.collect::<Vec<_>>())
}

fn print_once(doors: &[Door]) -> Result<(), Error> {
    let app = look(doors);
    answered(&app)?;
    let side = |name: &str, usual: u16| {
        let said = std::env::var(name).ok().and_then(|text| text.parse().ok());
        said.map_or(usual, |side: u16| side.clamp(SIDE_MIN, SIDE_MAX))
    };
    say::whole(&frame(&app, side("COLUMNS", FRAME.0), side("LINES", FRAME.1))?)
}

/// One frame as text.
fn frame(app: &App, width: u16, height: u16) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(Kind::Internal, format!("cannot draw a frame: {error}"));
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(|error| failed(&error))?;
    terminal.draw(|frame| draw(frame, app, Theme { colours: false })).map_err(|error| failed(&error))?;
    Ok(text_of(terminal.backend().buffer()))
}

/// The cells as lines, without what is blank at their ends.
fn text_of(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let line: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn live(doors: &[Door]) -> Result<(), Error> {
    let mut app = App::new(&doors.iter().map(|door| door.address).collect::<Vec<_>>());
    let theme = Theme { colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) };
    let (news, heard) = sync_channel(NEWS_MAX);
    for (peer, door) in doors.iter().enumerate() {
        door.clone().watch(peer, news.clone());
    }
    // Ctrl-c is a key here; SIGTERM must not leave the terminal raw.
    let asked_to_end = Arc::new(AtomicBool::new(false));
    let end = Arc::clone(&asked_to_end);
    signals::watch(move |_| end.store(true, Ordering::Relaxed))?;
    let failed = |error: io::Error| Error::new(Kind::Internal, format!("the terminal: {error}"));
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let done = turns(&mut terminal, &mut app, theme, &heard, &asked_to_end);
    ratatui::restore();
    done.map_err(failed)
}

fn turns(
    terminal: &mut ratatui::DefaultTerminal,
    app: &mut App,
    theme: Theme,
    heard: &Receiver<(usize, News)>,
    asked_to_end: &AtomicBool,
) -> io::Result<()> {
    let mut drawn = None::<Instant>;
    while !asked_to_end.load(Ordering::Relaxed) {
        let mut changed = drawn.is_none_or(|at| at.elapsed() >= FRAME_EVERY);
        for (peer, news) in heard.try_iter().take(NEWS_MAX) {
            app.hear(peer, news);
            changed = true;
        }
        if event::poll(if changed { Duration::ZERO } else { TURN })? {
            match event::read()? {
                event::Event::Key(key) => match app.press(key) {
                    After::Quit => return Ok(()),
                    After::Draw => changed = true,
                    After::Nothing => {}
                },
                event::Event::Resize(..) => changed = true,
                _ => {}
            }
        }
        if changed {
            terminal.draw(|frame| draw(frame, app, theme))?;
            drawn = Some(Instant::now());
        }
    }
    Ok(())
}
