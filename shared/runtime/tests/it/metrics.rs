//! The list of metrics, held to the README and to the code that records them.

use std::path::{Path, PathBuf};
use tiris_runtime::metrics::catalog::{METRICS, table};
use tiris_runtime::telemetry::TABLES;
use tiris_testing::TestDatabase;

const BEGIN: &str = "<!-- metrics: begin -->\n";
const END: &str = "<!-- metrics: end -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_readme_lists_the_metrics_of_the_code() {
    let readme = std::fs::read_to_string(root().join("shared/README.md")).expect("a README");
    let (_, rest) = readme
        .split_once(BEGIN)
        .expect("the beginning of the table");
    let (shown, _) = rest.split_once(END).expect("the end of the table");
    assert!(
        shown == table(),
        "put this between the marks in shared/README.md:\n{}",
        table()
    );
}

/// Every source file of the services.
fn sources() -> Vec<String> {
    let mut folders = [
        "api/src",
        "ingest/src",
        "shared/domain/src",
        "shared/runtime/src",
        "shared/store/src",
    ]
    .map(|folder| root().join(folder))
    .to_vec();

    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("metrics/catalog.rs")
            {
                sources.push(std::fs::read_to_string(path).expect("a source file"));
            }
        }
    }
    sources
}

#[test]
fn every_metric_of_the_list_is_recorded() {
    let sources = sources();
    // Those of the process come from a library.
    for metric in METRICS
        .iter()
        .filter(|metric| !metric.name.starts_with("process_"))
    {
        let literal = format!("\"{}\"", metric.name);
        assert!(
            sources.iter().any(|source| source.contains(&literal)),
            "{} has no value",
            metric.name
        );
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

#[test]
fn every_metric_that_is_recorded_is_listed_with_its_kind() {
    for source in sources() {
        for kind in ["counter", "gauge", "histogram"] {
            for call in source.split(&format!("{kind}!(\"")).skip(1) {
                let name = call.split('"').next().expect("a name");
                let listed = METRICS.iter().find(|metric| metric.name == name);
                assert_eq!(
                    listed.map(|metric| metric.kind.name()),
                    Some(kind),
                    "{name}"
                );
            }
        }
    }
}
