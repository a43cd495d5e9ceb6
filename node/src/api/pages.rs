//! The dashboard's files, inside the binary. `pages/vendor` holds uPlot, under its own licence.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::text::escape;

/// A file of the page.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal $kind:literal)*) => {
        const ASSETS: &[Asset] = &[$(Asset { name: $name, kind: $kind, bytes: include_bytes!(concat!("pages/", $name)) }),*];
    };
}

assets! {
    "index.html" "text/html; charset=utf-8"
    "style.css" "text/css; charset=utf-8"
    "icon.svg" "image/svg+xml"
    "app.js" "text/javascript; charset=utf-8"
    "charts.js" "text/javascript; charset=utf-8"
    "forecast.js" "text/javascript; charset=utf-8"
    "format.js" "text/javascript; charset=utf-8"
    "overview.js" "text/javascript; charset=utf-8"
    "swarm.js" "text/javascript; charset=utf-8"
    "model.js" "text/javascript; charset=utf-8"
    "events.js" "text/javascript; charset=utf-8"
    "deltas.js" "text/javascript; charset=utf-8"
    "judge.js" "text/javascript; charset=utf-8"
    "target.js" "text/javascript; charset=utf-8"
    "vendor/uPlot.iife.min.js" "text/javascript; charset=utf-8"
    "vendor/uPlot.min.css" "text/css; charset=utf-8"
    "vendor/uPlot.LICENSE.txt" "text/plain; charset=utf-8"
}

pub(super) async fn index(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

pub(super) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &headers)
}

fn serve(name: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        let error = format!("there is nothing at /{}", escape(name, 80));
        return Problem::new(StatusCode::NOT_FOUND, error, "/ is the dashboard, docs/dashboard.md lists the rest")
            .into_response();
    };
    // A browser keeps a file and asks each time whether it is still the same: after an update no old page meets a new server.
    let tag = format!("\"{}\"", &blake3::hash(asset.bytes).to_hex()[..16]);
    let kept = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let about = [(CONTENT_TYPE, asset.kind.to_owned()), (CACHE_CONTROL, "no-cache".to_owned()), (ETAG, tag.clone())];
    if kept.is_some_and(|kept| kept.split(',').any(|one| one.trim() == tag)) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of the page together, bytes.
    const PAGE_BYTES_MAX: usize = 300_000;

    #[test]
    fn the_page_is_small_and_asks_nobody_else() {
        let all: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(all < PAGE_BYTES_MAX, "{all} bytes");
        for asset in ASSETS.iter().filter(|asset| !asset.name.starts_with("vendor/")) {
            let text = String::from_utf8_lossy(asset.bytes);
            let allowed = text.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xhtml", "");
            assert!(!allowed.contains("http://") && !allowed.contains("https://"), "{}", asset.name);
            assert!(!text.contains("innerHTML") && !text.contains(" style=\""), "{}: policy", asset.name);
        }
    }

    #[test]
    fn a_file_that_is_kept_is_not_sent_again() {
        let first = serve("app.js", &HeaderMap::new());
        assert_eq!(first.status(), 200);
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(serve("app.js", &headers).status(), 304);
        assert_eq!(serve("../Cargo.toml", &headers).status(), 404);
    }
}
