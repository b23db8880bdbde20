use super::*;
use clap::Parser;

#[derive(Parser, Debug)]
struct Args {
    #[command(flatten)]
    encryption: EncryptionArgs,
}

fn check(arguments: &[&str], environment: Environment) -> Result<EncryptionConfig, String> {
    let args = Args::parse_from(std::iter::once(&"test").chain(arguments));
    let mut problems = Problems::default();
    let checked = args.encryption.check(Some(environment), &mut problems);
    problems.finish(checked).map_err(|error| error.to_string())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn from_file(file: &Path) -> EncryptionConfig {
    EncryptionConfig {
        keys: "".into(),
        fingerprint_key: "".into(),
        file: Some(file.into()),
    }
}

#[test]
fn a_missing_file_is_created_once() {
    let folder = folder();
    let file = folder.path().join("deep/encryption.env");
    let created = from_file(&file).load(Environment::Dev).expect("created");

    let text = std::fs::read_to_string(&file).expect("readable");
    from_file(&file)
        .load(Environment::Production)
        .expect("read");
    assert_eq!(std::fs::read_to_string(&file).expect("readable"), text);

    let other = from_file(&folder.path().join("other.env"))
        .load(Environment::Dev)
        .expect("created");
    assert_ne!(
        created.ring.current_id(),
        other.ring.current_id(),
        "two keys have the same id"
    );
}

#[test]
fn production_requires_keys_and_names_the_missing_ones() {
    let error = check(&[], Environment::Production).expect_err("nothing is given");
    assert!(
        error.contains(KEYS) && error.contains(FINGERPRINT),
        "{error}"
    );

    let folder = folder();
    let file = folder.path().join("none.env");
    let error = from_file(&file)
        .load(Environment::Production)
        .expect_err("no file");
    assert!(
        error.to_string().contains("none.env") && !file.exists(),
        "{error}"
    );

    std::fs::write(&file, format!("{KEYS}=a:{}\n", *generate())).expect("written");
    let error = from_file(&file)
        .load(Environment::Production)
        .expect_err("no fingerprint key");
    assert!(error.to_string().contains(FINGERPRINT), "{error}");
}

#[test]
fn settings_override_the_file() {
    let folder = folder();
    let file = folder.path().join("encryption.env");
    create(&file).expect("created");
    let keys = SecretString::from(format!("a:{}", *generate()));
    let secrets = EncryptionConfig {
        keys,
        ..from_file(&file)
    }
    .load(Environment::Dev)
    .expect("loaded");
    assert_eq!(secrets.ring.current_id(), "a");
}

#[test]
fn errors_and_debug_output_contain_no_keys() {
    let key = generate();
    let wrong = "c2hvcnQ=";
    let error = check(
        &[
            &format!("--encryption-keys=a:{},b:{wrong}", *key),
            &format!("--fingerprint-key={wrong}"),
        ],
        Environment::Dev,
    )
    .expect_err("two mistakes");
    assert!(
        error.contains(KEYS) && error.contains(FINGERPRINT),
        "{error}"
    );

    let arguments = [
        format!("--encryption-keys=a:{}", *key),
        format!("--fingerprint-key={}", *generate()),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let config = check(&arguments, Environment::Production).expect("valid");
    let secrets = config.load(Environment::Production).expect("loaded");
    let args = Args::parse_from(std::iter::once(&"test").chain(&arguments));

    for printed in [
        error,
        format!("{args:?}"),
        format!("{config:?}"),
        format!("{secrets:?}"),
    ] {
        assert!(
            !printed.contains(key.as_str()) && !printed.contains(wrong),
            "{printed}"
        );
    }
}
