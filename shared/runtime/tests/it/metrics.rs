//! The list of metrics, compared to the README and to the code that records them.

use std::path::{Path, PathBuf};
use tiris_runtime::metrics::catalog::{METRICS, table};
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

#[test]
fn the_readme_lists_the_metrics_of_the_code() {
    let readme =
        std::fs::read_to_string(root().join("shared/docs/OBSERVABILITY.md")).expect("a README");

    let (_, rest) = readme.split_once(BEGIN).expect("a table");
    let (shown, _) = rest.split_once(END).expect("the end of the table");

    let table = table();
    let advice = format!("put this between the marks in shared/docs/OBSERVABILITY.md:\n{table}");
    assert!(shown == table, "{advice}");
}

/// Every source file of the services, but the list itself.
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

#[test]
fn every_metric_of_the_list_is_recorded() {
    let sources = sources();
    let names = METRICS.iter().map(|metric| metric.name);

    // Those of the process come from a library.
    for name in names.filter(|name| !name.starts_with("process_")) {
        let literal = format!("\"{name}\"");
        let recorded = sources.iter().any(|source| source.contains(&literal));
        assert!(recorded, "{name} has no value");
    }
}

#[test]
fn every_metric_that_is_recorded_is_listed_with_its_kind() {
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
async fn statements_are_named_by_the_tables_of_the_schema() {
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
