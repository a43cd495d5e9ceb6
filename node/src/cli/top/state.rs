//! What `starling top` knows and where its reader stands: changed by news and by keys, and by nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::client::News;
use crate::api::{Columns, Entry, Other, Snapshot};
use crate::text::{TEXT_CHARS_MAX, escape};

/// Events that are kept, of all peers together.
const EVENTS_MAX: usize = 1024;
/// Longest name of a job or a device, characters.
const NAME_CHARS_MAX: usize = 80;

/// A part of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panel {
    Peers,
    Curves,
    Links,
    Events,
}

impl Panel {
    pub(super) const ALL: [Self; 4] = [Self::Peers, Self::Curves, Self::Links, Self::Events];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Curves => "curves",
            Self::Links => "links",
            Self::Events => "events",
        }
    }

    fn moved(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|panel| *panel == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// A peer whose dashboard is asked.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) address: SocketAddr,
    /// The last that it said.
    pub(super) status: Option<Snapshot>,
    pub(super) curves: Columns,
    /// Why there is no connection; none while there is one, or before the first try has ended.
    pub(super) lost: Option<String>,
}

/// A line of the table of peers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'a> {
    /// One that is asked.
    Own(&'a Watched),
    /// One that those know.
    Known(&'a Other),
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct App {
    pub(super) peers: Vec<Watched>,
    /// With the number of the peer that said it, oldest first.
    pub(super) events: VecDeque<(usize, Entry)>,
    pub(super) panel: Panel,
    /// The line of the table of peers that is picked.
    pub(super) row: usize,
    /// Lines that the events are scrolled back.
    pub(super) back: usize,
    /// What is shown stays as it is.
    pub(super) held: bool,
    pub(super) help: bool,
    /// There is nobody to press keys.
    pub(super) once: bool,
}

/// What comes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Nothing,
    Draw,
    Quit,
}

impl App {
    pub(super) fn new(addresses: &[SocketAddr]) -> Self {
        let watched = |&address| Watched { address, status: None, curves: Columns::default(), lost: None };
        Self {
            peers: addresses.iter().map(watched).collect(),
            events: VecDeque::new(),
            panel: Panel::Peers,
            row: 0,
            back: 0,
            held: false,
            help: false,
            once: false,
        }
    }

    /// Takes what a peer has told. While the picture is held, states and curves pass by: the next ones come soon.
    pub(super) fn hear(&mut self, peer: usize, news: News) {
        let held = self.held;
        let Some(watched) = self.peers.get_mut(peer) else { return };
        match news {
            News::Lost(why) => watched.lost = Some(why),
            News::Event(mut entry) => {
                entry.text = escape(&entry.text, TEXT_CHARS_MAX);
                if self.events.len() == EVENTS_MAX {
                    self.events.pop_front();
                }
                self.events.push_back((peer, *entry));
                if self.back > 0 || held {
                    // Who reads further up goes on reading there.
                    self.back = (self.back + 1).min(self.events.len() - 1);
                }
            }
            News::Status(_) | News::Curves(_) if held => {}
            News::Status(mut status) => {
                for name in [&mut status.run.job, &mut status.peer.device, &mut status.peer.backend] {
                    *name = escape(name, NAME_CHARS_MAX);
                }
                (watched.status, watched.lost) = (Some(*status), None);
                self.row = self.row.min(self.rows().len().saturating_sub(1));
            }
            News::Curves(curves) => watched.curves = *curves,
        }
    }

    /// The peers that are asked, in their order, then those that these know, each once, by its freshest word.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let own: Vec<&str> =
            self.peers.iter().filter_map(|watched| Some(watched.status.as_ref()?.peer.id.as_str())).collect();
        let mut known: BTreeMap<(bool, &str), &Other> = BTreeMap::new();
        for other in self.peers.iter().filter_map(|watched| watched.status.as_ref()).flat_map(|status| &status.peers) {
            if own.contains(&other.id.as_str()) {
                continue;
            }
            let gone = other.gone_s.is_some();
            // Who is there for one of them is there.
            if gone && known.contains_key(&(false, other.id.as_str())) {
                continue;
            }
            if !gone {
                known.remove(&(true, other.id.as_str()));
            }
            let best = known.entry((gone, other.id.as_str())).or_insert(other);
            if other.steps > best.steps || (!best.linked && other.linked) {
                *best = other;
            }
        }
        self.peers.iter().map(Row::Own).chain(known.into_values().map(Row::Known)).collect()
    }

    /// The asked peer whose curves and links are shown: the one that is picked, or the first.
    pub(super) fn picked(&self) -> Option<&Watched> {
        self.peers.get(self.row).or(self.peers.first())
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: KeyEvent) -> After {
        if key.kind == KeyEventKind::Release {
            return After::Nothing;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return After::Quit,
            KeyCode::Char('q') => return After::Quit,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Esc => return After::Quit,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            _ if self.help => self.help = false,
            KeyCode::Char('p' | ' ') => self.held = !self.held,
            KeyCode::Right | KeyCode::Tab => self.panel = self.panel.moved(1),
            KeyCode::Left | KeyCode::BackTab => self.panel = self.panel.moved(Panel::ALL.len() - 1),
            KeyCode::Down => self.step(1),
            KeyCode::Up => self.step(-1),
            KeyCode::PageDown => self.step(10),
            KeyCode::PageUp => self.step(-10),
            KeyCode::Home => self.step(isize::MIN / 2),
            KeyCode::End => self.step(isize::MAX / 2),
            _ => return After::Nothing,
        }
        After::Draw
    }

    /// Down or up, in the events or the table.
    fn step(&mut self, by: isize) {
        if self.panel == Panel::Events {
            let most = self.events.len().saturating_sub(1);
            self.back = self.back.saturating_add_signed(-by).min(most);
        } else {
            let most = self.rows().len().saturating_sub(1);
            self.row = self.row.saturating_add_signed(by).min(most);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn app(peers: u16) -> App {
        let addresses: Vec<SocketAddr> = (1..=peers).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        App::new(&addresses)
    }

    fn other(id: &str, steps: u64, gone: bool) -> Other {
        Other { id: id.into(), steps: Some(steps), gone_s: gone.then_some(1.0), ..Other::default() }
    }

    fn status(id: &str, others: Vec<Other>) -> News {
        let mut status = Snapshot { peers: others, ..Snapshot::default() };
        status.peer.id = id.into();
        News::Status(Box::new(status))
    }

    fn key(app: &mut App, code: KeyCode) -> After {
        app.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn every_peer_has_one_row() {
        let mut app = app(2);
        app.hear(0, status("a", vec![other("b", 5, false), other("c", 7, true), other("d", 1, true)]));
        app.hear(1, status("b", vec![other("a", 5, false), other("c", 9, false)]));
        let known: Vec<(&str, bool)> = app
            .rows()
            .iter()
            .filter_map(|row| match row {
                Row::Known(other) => Some((other.id.as_str(), other.gone_s.is_some())),
                Row::Own(_) => None,
            })
            .collect();
        assert_eq!(known, [("c", false), ("d", true)], "c is there for b");
        assert_eq!(app.rows().len(), 4);
        app.hear(9, status("x", vec![]));
        assert_eq!(app.rows().len(), 4, "nobody of that number is asked");
    }

    #[test]
    fn keys_move_and_leave() {
        let mut app = app(2);
        app.hear(0, status("a", vec![other("c", 1, false)]));
        assert_eq!(key(&mut app, KeyCode::End), After::Draw);
        assert_eq!(app.row, 2);
        key(&mut app, KeyCode::Down);
        assert_eq!(app.row, 2, "the last one");
        app.hear(0, status("a", vec![]));
        assert_eq!(app.row, 1, "a row that is gone is not picked");
        key(&mut app, KeyCode::Left);
        assert_eq!(app.panel, Panel::Events);
        key(&mut app, KeyCode::Right);
        assert_eq!(app.panel, Panel::Peers);
        key(&mut app, KeyCode::Char('?'));
        assert!(app.help);
        assert_eq!(key(&mut app, KeyCode::Esc), After::Draw);
        assert_eq!((app.help, key(&mut app, KeyCode::Esc)), (false, After::Quit));
        assert_eq!(app.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), After::Quit);
        assert_eq!(
            (key(&mut app, KeyCode::Char('x')), key(&mut app, KeyCode::Char('q'))),
            (After::Nothing, After::Quit)
        );
    }

    #[test]
    fn a_picture_that_is_held_stays_and_events_are_not_lost() {
        let mut app = app(1);
        app.hear(0, status("a", vec![]));
        key(&mut app, KeyCode::Char('p'));
        app.hear(0, status("b", vec![]));
        for seq in 0..EVENTS_MAX as u64 + 5 {
            let entry = Entry { seq, text: format!("\u{1b}[2J{seq}"), ..Entry::default() };
            app.hear(0, News::Event(Box::new(entry)));
        }
        assert_eq!(app.peers[0].status.as_ref().unwrap().peer.id, "a");
        assert_eq!(app.events.len(), EVENTS_MAX);
        assert!(app.events.iter().all(|(_, entry)| !entry.text.contains('\u{1b}')));
        key(&mut app, KeyCode::Char('p'));
        app.hear(0, status("b", vec![]));
        assert_eq!(app.peers[0].status.as_ref().unwrap().peer.id, "b");
    }

    #[test]
    fn a_peer_that_is_lost_keeps_its_last_word_until_it_is_back() {
        let mut app = app(1);
        app.hear(0, status("a", vec![]));
        app.hear(0, News::Lost("nobody listens there".into()));
        assert!(app.peers[0].status.is_some() && app.peers[0].lost.is_some());
        app.hear(0, status("a", vec![]));
        assert_eq!(app.peers[0].lost, None);
    }
}
