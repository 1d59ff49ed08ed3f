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

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page: its path, its type and its content.
struct File(&'static str, &'static str, &'static [u8]);

/// Includes a file of the folder `page`.
macro_rules! file {
    ($path:literal, $content_type:expr) => {
        File(concat!("/", $path), $content_type, include_bytes!(concat!("../../page/", $path)))
    };
}

const FILES: [File; 22] = [
    File("/", HTML, include_bytes!("../../page/index.html")),
    file!("app.css", CSS),
    file!("icon.svg", SVG),
    file!("app.js", JAVASCRIPT),
    file!("format.js", JAVASCRIPT),
    file!("data/api.js", JAVASCRIPT),
    file!("data/connection.js", JAVASCRIPT),
    file!("data/event_stream.js", JAVASCRIPT),
    file!("data/lists.js", JAVASCRIPT),
    file!("data/records.js", JAVASCRIPT),
    file!("data/store.js", JAVASCRIPT),
    file!("view/attention.js", JAVASCRIPT),
    file!("view/bar.js", JAVASCRIPT),
    file!("view/board.js", JAVASCRIPT),
    file!("view/columns.js", JAVASCRIPT),
    file!("view/commands.js", JAVASCRIPT),
    file!("view/detail.js", JAVASCRIPT),
    file!("view/dom.js", JAVASCRIPT),
    file!("view/filter.js", JAVASCRIPT),
    file!("view/route.js", JAVASCRIPT),
    file!("view/table.js", JAVASCRIPT),
    file!("view/tiles.js", JAVASCRIPT),
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    /// Adds the paths of the files in a folder, and in the folders in it.
    fn add_files(folder: &Path, path: &str, paths: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = format!("{path}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                add_files(&entry.path(), &path, paths);
            } else {
                paths.insert(path);
            }
        }
    }

    fn text(path: &str) -> &'static str {
        let file = FILES.iter().find(|file| file.0 == path);
        str::from_utf8(file.unwrap_or_else(|| panic!("{path}")).2).unwrap()
    }

    /// Returns the paths of the modules.
    fn modules() -> BTreeSet<&'static str> {
        FILES.iter().filter(|file| file.1 == JAVASCRIPT).map(|file| file.0).collect()
    }

    /// Returns the paths that a module imports.
    fn imports(module: &str) -> BTreeSet<String> {
        let imported =
            text(module).split("\";\n").filter_map(|before| before.rsplit_once(" from \""));
        let folder = module.rsplit_once('/').unwrap().0;
        let resolve = |path: &str| match path.split_once('/').unwrap() {
            (".", rest) => format!("{folder}/{rest}"),
            ("..", rest) => format!("{}/{rest}", folder.rsplit_once('/').unwrap().0),
            _ => panic!("{module} imports {path}"),
        };
        imported.map(|(_, path)| resolve(path)).collect()
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let mut expected = BTreeSet::new();
        add_files(&folder, "", &mut expected);
        let path = |file: File| if file.0 == "/" { "/index.html" } else { file.0 }.to_owned();
        let served: BTreeSet<_> = FILES.into_iter().map(path).collect();
        assert_eq!(served, expected);
    }

    #[test]
    fn the_page_preloads_every_module_except_its_entry() {
        let links = text("/").split("<link rel=\"modulepreload\" href=\"").skip(1);
        let mut loaded: Vec<_> =
            links.map(|link| format!("/{}", link.split_once('"').unwrap().0)).collect();
        loaded.push("/app.js".into());
        loaded.sort();
        assert_eq!(loaded, modules().into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn imports_of_modules_run_one_way() {
        // The modules whose imports all come before them.
        let mut before = BTreeSet::new();
        while let Some(next) = modules()
            .into_iter()
            .find(|module| !before.contains(*module) && imports(module).is_subset(&before))
        {
            let (folder, imported) = (next.rsplit_once('/').unwrap().0, imports(next));
            if folder == "/data" {
                assert!(!imported.iter().any(|path| path.starts_with("/view/")), "{next}");
            }
            before.insert(next.to_owned());
        }
        let circle: Vec<_> =
            modules().into_iter().filter(|module| !before.contains(*module)).collect();
        assert!(circle.is_empty(), "{circle:?}");
        assert!(imports("/app.js").contains("/view/board.js"));
    }
}
