//! The dashboard of a real swarm, in a real browser where there is one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::browser::{self, Browser};
use harness::cli;
use harness::http;
use harness::open_metrics::{self, Family};
use harness::peer::Peer;
use serde_json::Value;

/// Generous: the machine may be busy with other tests.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A peer that is killed is shown as gone.
const GONE_MAX: Duration = Duration::from_secs(5);
/// All of the page, bytes.
const PAGE_BYTES_MAX: u64 = 300_000;
/// From the navigation to the first paint.
const PAINT_MAX_MS: f64 = 1000.0;

fn peer(home: &Path, index: usize, more: &[&str]) -> Peer {
    let mut arguments = vec!["run", "--child", "--open", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"];
    let identity = home.join(format!("peer-{index}.key"));
    let shard = index.to_string();
    arguments.extend([
        "--identity",
        identity.to_str().unwrap(),
        "--shard",
        &shard,
        "--device",
        "cpu",
        "--threads",
        "1",
    ]);
    arguments.extend(["--epochs", "1000000"]);
    arguments.extend(more);
    Peer::start(cli::command(home, &arguments))
}

/// Where a peer serves its dashboard.
fn place(peer: &Peer) -> String {
    let said = peer.notes.iter().find_map(|note| Some(note.split_once("dashboard on ")?.1));
    let said = said.unwrap_or_else(|| panic!("it says where the dashboard is: {:?}", peer.notes));
    said.split(' ').next().unwrap().to_owned()
}

/// Four peers; the first serves a dashboard, whose address is returned.
pub(crate) fn swarm(home: &Path, more: &[&str]) -> (Vec<Peer>, String) {
    let arguments = [&["--dashboard", "127.0.0.1:0"], more].concat();
    let mut first = peer(home, 0, &arguments);
    let address = first.address(WAIT_MAX);
    let dashboard = place(&first);
    let mut peers = vec![first];
    peers.extend((1..4).map(|index| peer(home, index, &["--peer", &address])));
    for peer in &mut peers {
        peer.until("it has met the others", WAIT_MAX, |peer| peer.status.live_peers == 4 && peer.status.steps > 0);
    }
    (peers, dashboard)
}

fn status(dashboard: &str) -> Value {
    http::json(&http::get(dashboard, "/v1/status"))
}

#[test]
fn a_running_peer_says_how_it_stands_and_pauses() {
    let home = tempfile::tempdir().unwrap();
    let [audit, kept] = ["audit", "kept"].map(|name| home.path().join(name));
    let flags =
        ["--audit", audit.to_str().unwrap(), "--checkpoint", kept.to_str().unwrap(), "--checkpoint-every", "1h"];
    let (mut peers, dashboard) = swarm(home.path(), &flags);
    let now = status(&dashboard);
    assert_eq!((now["phase"].as_str(), now["peers"].as_array().map(Vec::len)), (Some("training"), Some(3)), "{now}");
    let model = http::json(&http::get(&dashboard, "/v1/model"));
    assert_eq!(model["tensors"][0]["name"], "layers.0.weight");
    // What a peer goes down: of every tensor, and of a step that it has taken.
    let begun = Instant::now();
    let seen = loop {
        let seen = http::json(&http::get(&dashboard, "/v1/model"));
        if seen["gradient_steps"].is_u64() {
            break seen;
        }
        assert!(begun.elapsed() < WAIT_MAX, "a gradient comes to whoever looks: {seen}");
        std::thread::sleep(Duration::from_millis(200));
    };
    for tensor in seen["tensors"].as_array().unwrap() {
        let (of, gradient) = (&tensor["parameters"], &tensor["gradient"]);
        let counted: u64 = gradient["histogram"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
        assert!(gradient["range"].as_f64().unwrap() > 0.0 && of == counted, "{tensor}");
    }
    let past = loop {
        let past = http::json(&http::get(&dashboard, "/v1/model/0/past"));
        if past["gradients"]["counts"].as_array().is_some_and(|notes| !notes.is_empty()) {
            break past;
        }
        assert!(begun.elapsed() < WAIT_MAX, "and is noted after an evaluation: {past}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(past["gradients"]["steps"].as_array().map(Vec::len) <= past["steps"].as_array().map(Vec::len), "{past}");
    let post = |body: &str| {
        let answer = http::post(&dashboard, "/v1/control", body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    };
    post("{\"action\":\"pause\"}");
    let begun = Instant::now();
    let at_rest = loop {
        let before = status(&dashboard);
        std::thread::sleep(Duration::from_millis(1200));
        let after = status(&dashboard);
        if before["phase"] == "paused" && before["training"]["steps"] == after["training"]["steps"] {
            break after;
        }
        assert!(begun.elapsed() < WAIT_MAX, "it pauses: {after}");
    };
    let heard = at_rest["gossip"]["deltas_heard"].as_u64().unwrap();
    while status(&dashboard)["gossip"]["deltas_heard"].as_u64().unwrap() <= heard {
        assert!(begun.elapsed() < 2 * WAIT_MAX, "it hears the others");
        std::thread::sleep(Duration::from_millis(200));
    }
    post("{\"action\":\"resume\"}");
    let steps = at_rest["training"]["steps"].as_u64().unwrap();
    while status(&dashboard)["training"]["steps"].as_u64().unwrap() <= steps {
        assert!(begun.elapsed() < 3 * WAIT_MAX, "it goes on");
        std::thread::sleep(Duration::from_millis(200));
    }
    post("{\"action\":\"checkpoint\"}");
    while !std::fs::read_dir(&kept)
        .is_ok_and(|mut found| found.any(|one| one.unwrap().file_name().to_string_lossy().starts_with("step-")))
    {
        assert!(begun.elapsed() < 4 * WAIT_MAX, "a checkpoint is written when it is asked for, and not in an hour");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(http::post(&dashboard, "/v1/log", "{\"level\":\"info\"}").starts_with("HTTP/1.1 200"));
    post("{\"action\":\"leave\"}");
    peers[0].until("its last word", WAIT_MAX, |peer| peer.report.is_some());
    let shown = cli::run(home.path(), &["audit", "show", audit.to_str().unwrap(), "--kind", "control"], WAIT_MAX);
    shown.assert_succeeds();
    for action in ["pause", "resume", "checkpoint", "action=log level=info", "leave"] {
        assert!(shown.stdout.contains(action), "{action} is in the audit log: {}", shown.stdout);
    }
}

#[test]
fn metrics_of_a_busy_peer_are_open_metrics_whoever_asks_how_often() {
    let home = tempfile::tempdir().unwrap();
    let (_peers, dashboard) = swarm(home.path(), &[]);
    let scrape = || {
        let answer = http::get(&dashboard, "/metrics");
        let (head, page) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        open_metrics::read(page).unwrap_or_else(|wrong| panic!("{wrong:#?}\n{page}"))
    };
    let steps = |page: &BTreeMap<String, Family>| *page["starling_steps"].series.values().next().unwrap();
    let first = scrape();
    assert!(first.keys().any(|name| name.starts_with("libp2p_swarm")), "libp2p's own are there, too");
    assert_eq!(first["starling_neighbour_silence_seconds"].series.len(), 3, "one series a neighbour");
    // Many at a time, none of which asks the peer anything: they read what it wrote down last.
    let pages: Vec<_> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..4).map(|_| scope.spawn(|| (0..10).map(|_| scrape()).collect::<Vec<_>>())).collect();
        askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect()
    });
    assert!(pages.iter().all(|page| steps(page) >= steps(&first)), "a counter never falls");
    let begun = Instant::now();
    while steps(&scrape()) <= steps(&first) {
        assert!(begun.elapsed() < WAIT_MAX, "training goes on");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn the_page_of_a_swarm_lives_in_a_browser() {
    if !browser::available("the dashboard in a browser") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (mut peers, dashboard) = swarm(home.path(), &[]);
    let mut page = Browser::start();
    page.look(1440, 900, false);
    page.open(&dashboard);
    page.until("document.getElementById('phase')?.textContent === 'training'", WAIT_MAX);
    let paint = page.eval("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0");
    assert!((0.1..PAINT_MAX_MS).contains(&paint.as_f64().unwrap()), "first paint after {paint} ms");
    let loaded = page.bytes;
    assert!(loaded < PAGE_BYTES_MAX, "{loaded} bytes");

    // A target is the viewer's, and stays when the page is loaded again.
    let set = |page: &mut Browser, value: &str| {
        page.eval(&format!(
            "(() => {{ const v = document.getElementById('target-value'); v.value = '{value}'; v.dispatchEvent(new Event('input')); }})()"
        ));
    };
    let when = |words: &str| format!("document.getElementById('target-when').textContent.includes('{words}')");
    set(&mut page, "101");
    page.until(&when("–"), WAIT_MAX);
    set(&mut page, "20");
    page.until(&when("reached after"), WAIT_MAX);
    page.open(&dashboard);
    page.until("document.getElementById('target-value')?.value === '20'", WAIT_MAX);
    page.until(&when("reached after"), WAIT_MAX);
    set(&mut page, "100");
    page.until(&format!("{} || {}", when("never"), when("reached")), WAIT_MAX);

    // Values change by themselves, and curves are drawn.
    let steps = "document.querySelectorAll('.stat .note')[2].textContent";
    let before = page.eval(steps).to_string();
    page.until(&format!("{steps} !== {before}"), WAIT_MAX);
    page.until("document.querySelectorAll('.plot canvas').length >= 3", WAIT_MAX);

    // Four peers, then three and one that is gone.
    page.eval("location.hash = 'swarm'");
    page.until("document.querySelectorAll('.node').length === 4", WAIT_MAX);
    page.until("document.querySelectorAll('.link').length === 6", WAIT_MAX);
    assert_eq!(page.eval("document.querySelectorAll('.node.gone').length"), 0);
    pictures(&mut page, "swarm");
    peers.pop().unwrap().kill();
    let gone = page.until(
        "document.querySelectorAll('.node.gone').length === 1 && document.querySelector('tr.gone').textContent.includes('gone')",
        GONE_MAX,
    );
    eprintln!("a killed peer is shown as gone after {gone:?}; first paint {paint} ms, {loaded} bytes");

    // The weights are something.
    page.eval("location.hash = 'model'");
    page.until("document.querySelectorAll('#view-model canvas').length > 10", WAIT_MAX);
    let colours = page.eval(
        "new Set([...document.querySelectorAll('#view-model .tiles canvas')].flatMap((c) => { const d = c.getContext('2d').getImageData(0, 0, c.width, \
         c.height).data; return Array.from({ length: d.length / 4 }, (_, i) => d[4 * i] << 16 | d[4 * i + 1] << 8 | d[4 * i + 2]); })).size",
    );
    assert!(colours.as_u64().unwrap() > 50, "{colours} colours");
    // What it takes for what, when somebody asks; and how the weights came about.
    page.eval("document.querySelector('.judge button').click()");
    page.until("document.querySelectorAll('.confusion tbody td').length === 10 * 11", WAIT_MAX);
    let counted = page.eval("[...document.querySelectorAll('.confusion tbody tr')].flatMap((r) => [...r.querySelectorAll('td')].slice(0, 10)).reduce((sum, c) => sum + Number(c.textContent), 0)");
    let judged = http::json(&http::get(&dashboard, "/v1/confusion"));
    assert_eq!(counted, judged["test_samples"], "every sample of the test part stands once in the matrix");
    let wrong = judged["wrong"].as_array().unwrap();
    assert!(wrong.iter().all(|one| one["is"] != one["said"] && one["picture"]["width"] == 8), "{judged}");
    page.until("document.querySelectorAll('.past:not([hidden])').length > 0", WAIT_MAX);
    page.until("[...document.querySelectorAll('.bars.gradients i')].some((bar) => bar.style.height !== '0' && bar.style.height !== '0px')", WAIT_MAX);
    pictures(&mut page, "model");

    // Events, and the life of a delta; a wish asks first.
    page.eval("location.hash = 'events'");
    page.until("[...document.querySelectorAll('.log li')].some((li) => li.textContent.includes('is gone'))", WAIT_MAX);
    page.until("document.querySelectorAll('.deltas tbody tr').length > 0", WAIT_MAX);
    page.until(
        "[...document.querySelectorAll('.deltas tbody tr')].some((r) => r.textContent.includes('this peer') && r.textContent.includes('neighbour'))",
        WAIT_MAX,
    );
    pictures(&mut page, "events");
    page.eval("[...document.querySelectorAll('.deltas tbody tr')].find((r) => r.textContent.includes('neighbour')).querySelector('button').click()");
    page.until(
        "document.getElementById('life').open && document.getElementById('life').textContent.includes('Applied by')",
        WAIT_MAX,
    );
    pictures(&mut page, "delta");
    page.eval("document.querySelector('#life button').click()");
    page.eval("document.getElementById('log').click()");
    page.until("document.getElementById('logs').open", WAIT_MAX);
    page.eval("document.getElementById('logs-level').value = 'warn'");
    page.eval("document.querySelector('#logs button[value=yes]').click()");
    page.until(
        "[...document.querySelectorAll('.log li')].some((li) => li.textContent.includes('logs from level warn on'))",
        WAIT_MAX,
    );
    page.eval("document.getElementById('pause').click()");
    page.until("document.getElementById('ask').open", WAIT_MAX);
    page.eval("document.getElementById('ask-yes').click()");
    page.until("document.getElementById('phase').textContent === 'paused'", WAIT_MAX);
    page.eval("location.hash = 'overview'");
    pictures(&mut page, "overview");
    accessible(&mut page);

    let origin = dashboard.as_str();
    let foreign: Vec<_> =
        page.requests.iter().filter(|url| !url.starts_with(origin) && !url.starts_with("data:")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert!(page.errors.is_empty(), "{:#?}", page.errors);

    // The peer goes, and the page says so.
    peers.remove(0).kill();
    page.until("!document.getElementById('lost').hidden", WAIT_MAX);
    pictures(&mut page, "lost");
    println!("pictures of the dashboard: {}", screenshots().display());
}

#[test]
fn a_forecast_is_the_fit_and_says_when_there_is_none() {
    if !browser::available("the forecast of the dashboard in a browser") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let mut peer = peer(home.path(), 0, &["--no-gossip", "--dashboard", "127.0.0.1:0"]);
    peer.until("it trains", WAIT_MAX, |peer| peer.status.steps > 0);
    let mut page = Browser::start();
    page.open(&place(&peer));
    page.until("document.readyState === 'complete'", WAIT_MAX);
    let mut ask = |of: &str, curve: &str, target: f64| {
        let said = page.eval(&format!(
            "import('/forecast.js').then(({{ forecast }}) => {{ const time_s = Array.from({{ length: 20 }}, (_, i) => 5 + 5 * i); \
             const values = time_s.map({curve}); return forecast('{of}', {{ time_s, values }}, {target}); }})"
        ));
        (said["state"].as_str().unwrap().to_owned(), said["time_s"].as_f64())
    };
    // 2 / sqrt(t): 0.2 at 100 s, half of it at four times that.
    let (state, time) = ask("loss", "(t) => 2 / Math.sqrt(t)", 0.1);
    assert!(state == "ahead" && (time.unwrap() - 400.0).abs() < 1e-6, "{state} {time:?}");
    let (state, time) = ask("accuracy", "(t) => 1 - 2 / Math.sqrt(t)", 0.9);
    assert!(state == "ahead" && (time.unwrap() - 400.0).abs() < 1e-6, "{state} {time:?}");
    // Scatter about it moves the answer, and not far.
    let (state, time) = ask("loss", "(t, i) => (2 + (i % 2 ? 0.02 : -0.02)) / Math.sqrt(t)", 0.1);
    assert!(state == "ahead" && (350.0..450.0).contains(&time.unwrap()), "{state} {time:?}");
    // What was long ago counts for nothing: flat since then.
    assert_eq!(ask("loss", "(t) => Math.max(0.5, 10 / t)", 0.4).0, "flat");
    assert_eq!(ask("loss", "(t, i) => 1 + (i % 2 ? 0.1 : -0.1)", 0.1).0, "flat");
    assert_eq!(ask("loss", "(t) => t", 0.1).0, "flat");
    assert_eq!(ask("loss", "(t) => Math.pow(t, -0.01)", 0.1), ("far".to_owned(), Some(1100.0)));
    assert_eq!(ask("loss", "(t) => 2 / Math.sqrt(t)", 0.5), ("reached".to_owned(), Some(20.0)));
    assert_eq!(ask("accuracy", "(t) => 1 - 2 / Math.sqrt(t)", 1.0).0, "never");
    assert_eq!(ask("loss", "(t, i) => (i < 4 ? 2 / Math.sqrt(t) : null)", 0.1).0, "few");
    // An outlier that cannot be reached is passed over.
    assert_eq!(ask("accuracy", "(t, i) => (i === 15 ? 1 : 1 - 2 / Math.sqrt(t))", 0.9).0, "ahead");
}

/// A peer that trains by itself and shows its dashboard there, for who has the token.
fn alone(home: &Path, at: &str, token: &Path) -> (Peer, String) {
    let arguments = ["--no-gossip", "--dashboard", at, "--dashboard-token", token.to_str().unwrap()];
    let mut peer = peer(home, 0, &arguments);
    peer.until("it trains", WAIT_MAX, |peer| peer.status.steps > 0);
    let place = place(&peer);
    (peer, place)
}

#[test]
fn the_page_asks_at_the_door_and_outlives_its_peer() {
    if !browser::available("the door of the dashboard in a browser") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("token");
    let (first, dashboard) = alone(home.path(), "127.0.0.1:0", &file);
    let mut page = Browser::start();
    page.look(1440, 900, false);
    page.open(&dashboard);
    page.until("document.getElementById('door')?.open === true", WAIT_MAX);
    let knock = |page: &mut Browser, token: &str| {
        page.eval(&format!("document.getElementById('door-token').value = '{token}'"));
        page.eval("document.querySelector('#door button').click()");
    };
    let said = |words: &str| format!("document.getElementById('door-error').textContent.includes('{words}')");
    knock(&mut page, "a token that is none of ours");
    page.until(&said("not the token of this peer"), WAIT_MAX);
    pictures(&mut page, "door");
    // Who is asked to wait is not told that a right token is wrong.
    page.eval("Promise.all(Array.from({ length: 12 }, () => fetch('/v1/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{\"token\":\"wrong\"}' })))");
    let token = std::fs::read_to_string(&file).unwrap();
    knock(&mut page, token.trim());
    page.until(&said("too many wrong tokens"), WAIT_MAX);
    std::thread::sleep(Duration::from_millis(1500));
    knock(&mut page, token.trim());
    page.until("document.getElementById('phase').textContent === 'training'", WAIT_MAX);

    // The way past the head of the page leaves the view as it is.
    page.eval("location.hash = 'swarm'");
    page.until("document.getElementById('view-swarm').textContent.includes('This peer trains alone')", WAIT_MAX);
    page.eval("document.querySelector('#view-swarm tbody tr').dataset.kept = 'yes'");
    page.eval("document.querySelector('.skip').click()");
    assert_eq!(page.eval("document.activeElement.id + ' ' + location.hash"), "main #swarm");
    let steps = "document.querySelectorAll('#view-swarm tbody td')[3].textContent";
    let before = page.eval(steps).to_string();
    page.until(&format!("{steps} !== {before}"), WAIT_MAX);
    assert_eq!(page.eval("document.querySelector('#view-swarm tbody tr').dataset.kept"), "yes", "rows stay");

    // A wish that fails is not wished again by Escape.
    page.eval(
        "window.posts = 0; window.asked = window.fetch; window.fetch = (path, options) => path === '/v1/control' ? (window.posts += 1, Promise.reject(new \
         Error('on purpose'))) : window.asked(path, options)",
    );
    page.eval("document.getElementById('pause').click()");
    page.eval("document.getElementById('ask-yes').click()");
    page.until(
        "window.posts === 1 && document.getElementById('ask').open && !document.getElementById('ask-error').hidden",
        WAIT_MAX,
    );
    page.eval("document.getElementById('ask').close()");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(page.eval("window.posts"), 1, "closing the question is no yes");
    page.eval("window.fetch = window.asked");

    // It leaves, and another life of it comes to the same place.
    page.eval("location.hash = 'overview'");
    page.until("document.querySelectorAll('#view-overview .plot canvas').length > 0", WAIT_MAX);
    page.eval("document.getElementById('leave').click()");
    page.eval("document.getElementById('ask-yes').click()");
    page.until("document.getElementById('phase').textContent === 'stopped'", WAIT_MAX);
    page.until("document.getElementById('lost').textContent.includes('has left')", WAIT_MAX);
    pictures(&mut page, "stopped");
    let asked = page.requests.len();
    std::thread::sleep(Duration::from_secs(4));
    page.eval("0");
    let curves = page.requests[asked..].iter().filter(|url| url.ends_with("/v1/history")).count();
    assert_eq!(curves, 0, "nobody is asked who is gone");
    drop(first);
    let at = dashboard.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let (second, _) = alone(home.path(), &at, &file);
    page.until(
        "document.getElementById('phase').textContent === 'training' && document.getElementById('lost').hidden",
        WAIT_MAX,
    );
    page.eval("location.hash = 'events'");
    page.until("document.querySelectorAll('.log li').length > 0", WAIT_MAX);
    let begun = page.eval(
        "[...document.querySelectorAll('.log li')].filter((li) => li.textContent.includes('training begins')).length",
    );
    assert_eq!(begun, 1, "of this life alone");
    drop(second);
}

/// Where pictures for people are kept: `STARLING_SCREENSHOTS`, or `screenshots` in the target folder.
fn screenshots() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    std::env::var_os("STARLING_SCREENSHOTS").map_or_else(|| target.join("screenshots"), PathBuf::from)
}

/// Pictures of a view for people, at both widths, in both themes. No view is wider than the window.
fn pictures(page: &mut Browser, view: &str) {
    let folder = screenshots();
    std::fs::create_dir_all(&folder).unwrap();
    for (width, height) in [(1440, 900), (360, 740)] {
        for dark in [false, true] {
            page.look(width, height, dark);
            // Charts are drawn again after the window has changed.
            std::thread::sleep(Duration::from_millis(600));
            let widest = page.eval("document.documentElement.scrollWidth").as_u64().unwrap();
            assert!(widest <= u64::from(width), "{view} is {widest} wide in a window of {width}");
            let theme = if dark { "dark" } else { "light" };
            page.picture(&folder.join(format!("{view}-{width}-{theme}.png")));
        }
    }
    page.look(1440, 900, false);
}

/// axe-core finds nothing serious, where `STARLING_AXE` names its axe.min.js, which test.sh gets where npm is.
fn accessible(page: &mut Browser) {
    let Some(path) = std::env::var_os("STARLING_AXE") else {
        eprintln!("SKIPPED: axe-core: STARLING_AXE names no axe.min.js; ./test.sh gets one with npm");
        return;
    };
    page.eval(&std::fs::read_to_string(path).unwrap());
    for view in ["overview", "swarm", "model", "events"] {
        for dark in [false, true] {
            page.look(1440, 900, dark);
            page.eval(&format!("location.hash = '{view}'"));
            std::thread::sleep(Duration::from_millis(800));
            let found = page.eval(
                "axe.run().then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => v.id + ': ' + \
                 v.nodes.slice(0, 4).map((n) => n.html.slice(0, 160) + ' ' + (n.any[0]?.message ?? '')).join(' | ')))",
            );
            assert_eq!(found, serde_json::json!([]), "{view}, dark: {dark}");
        }
    }
}
