//! The list of metrics, compared with OBSERVABILITY.md and with the code that records them.

use std::path::{Path, PathBuf};
use tiris_runtime::metrics::catalog::{METRICS, Metric};
use tiris_runtime::telemetry::TABLES;
use tiris_testing::TestDatabase;

const BEGIN: &str = "<!-- metrics: begin -->\n";
const END: &str = "<!-- metrics: end -->";

/// The folders of the services' source code.
const FOLDERS: [&str; 5] = [
    "api/src",
    "ingest/src",
    "shared/domain/src",
    "shared/runtime/src",
    "shared/store/src",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns every source file of the services, except the list itself.
fn sources() -> Vec<String> {
    let mut folders = FOLDERS.map(|folder| root().join(folder)).to_vec();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_source = path.extension().is_some_and(|extension| extension == "rs");
            if path.is_dir() {
                folders.push(path);
            } else if is_source && !path.ends_with("metrics/catalog.rs") {
                sources.push(std::fs::read_to_string(path).expect("a source file"));
            }
        }
    }

    assert!(!sources.is_empty());
    sources
}

/// Returns a row of the table in OBSERVABILITY.md.
fn row(metric: &Metric) -> String {
    let name = metric.name;
    let labels = match metric.labels {
        [] => String::new(),
        labels => format!("{{{}}}", labels.join(",")),
    };
    let kind = metric.kind.name();
    let base = name.strip_suffix("_total").unwrap_or(name);
    let unit = match base.rsplit('_').next() {
        Some("seconds") => "seconds",
        Some("bytes") => "bytes",
        _ => "count",
    };
    let program = format!("{:?}", metric.program).to_lowercase();

    let help = metric.help;
    format!("| `{name}{labels}` | {kind} | {unit} | {program} | {help} |\n")
}

#[test]
fn the_document_lists_all_metrics() {
    let document =
        std::fs::read_to_string(root().join("shared/docs/OBSERVABILITY.md")).expect("the document");
    let rows: String = METRICS.iter().map(row).collect();
    let table =
        format!("| metric | type | unit | program | meaning |\n|---|---|---|---|---|\n{rows}");

    let (_, rest) = document.split_once(BEGIN).expect("a table");
    let (shown, _) = rest.split_once(END).expect("the end of the table");

    assert!(
        shown == table,
        "put this between the marks in shared/docs/OBSERVABILITY.md:\n{table}"
    );
}

#[test]
fn every_listed_metric_is_recorded() {
    let sources = sources();
    let names = METRICS.iter().map(|metric| metric.name);

    // A library records those of the process.
    for name in names.filter(|name| !name.starts_with("process_")) {
        let literal = format!("\"{name}\"");
        let is_recorded = sources.iter().any(|source| source.contains(&literal));
        assert!(is_recorded, "{name} is never recorded");
    }
}

#[test]
fn every_recorded_metric_is_listed() {
    for source in sources() {
        for kind in ["counter", "gauge", "histogram"] {
            for call in source.split(&format!("{kind}!(\"")).skip(1) {
                let name = call.split('"').next().expect("a name");
                let listed = METRICS.iter().find(|metric| metric.name == name);

                let listed = listed.map(|metric| metric.kind.name());
                assert_eq!(listed, Some(kind), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn the_tables_are_those_of_the_schema() {
    let database = TestDatabase::new().await.expect("a database");

    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace \
         AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname::text COLLATE \"C\"",
    )
    .fetch_all(database.pool())
    .await
    .expect("tables");

    assert_eq!(tables, TABLES);
}
