//! The static files of the page.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};

/// The page may load only files of this server, and nothing may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                                       img-src 'self' blob:; connect-src 'self'; base-uri 'none'; \
                                       form-action 'none'; frame-ancestors 'none'";

/// A file of the page: its path, its type and its content.
struct File(&'static str, &'static str, &'static [u8]);

const FILES: [File; 4] = [
    File("/", "text/html; charset=utf-8", include_bytes!("../../page/index.html")),
    File("/app.js", "text/javascript; charset=utf-8", include_bytes!("../../page/app.js")),
    File("/app.css", "text/css; charset=utf-8", include_bytes!("../../page/app.css")),
    File("/icon.svg", "image/svg+xml", include_bytes!("../../page/icon.svg")),
];

/// Returns whether a path needs no token.
pub(super) fn is_static(path: &str) -> bool {
    FILES.iter().any(|file| file.0 == path)
}

/// Returns the routes of the files.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let serve = |File(path, content_type, content)| -> (_, MethodRouter<S>) {
        (path, get(async move || file(content_type, content)))
    };
    FILES
        .into_iter()
        .map(serve)
        .fold(Router::new(), |router, (path, route)| router.route(path, route))
}

fn file(content_type: &'static str, content: &'static [u8]) -> Response {
    const CSP: HeaderValue = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, content).into_response()
}
