//! The SQL of the production code, read from its source.
//!
//! sqlx accepts a statement as a `&'static str`, which is a literal in the source, or in an `AssertSqlSafe` or a
//! `QueryBuilder`. So the literals that look like SQL are all constant statements. Of a `QueryBuilder` only the first
//! part is read, which has the columns.

use super::constants::Constants;
use quote::ToTokens;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprCall, ExprMacro, ItemMod, LitStr, Macro, Token};

/// Folders with production code, from the root of the workspace.
const FOLDERS: [&str; 4] = [
    "api/src",
    "ingest/src",
    "migrations/src",
    "shared/store/src",
];
/// First words of the statements that the code sends.
const VERBS: [&str; 8] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "DECLARE", "CALL", "TRUNCATE",
];
/// Functions of sqlx whose first argument is a statement.
const CALLS: [&str; 4] = ["query", "query_as", "query_scalar", "raw_sql"];
/// Constructors that accept a statement built at run time.
const BUILDERS: [&str; 2] = ["AssertSqlSafe", "QueryBuilder"];

/// The statements of the source.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Constant statements with their files.
    pub(crate) statements: BTreeSet<(String, String)>,
    /// Expressions that build a statement at run time.
    pub(crate) built: BTreeSet<String>,
}

/// Reads the statements of the whole production code.
pub(crate) fn read() -> Source {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut source = Source::default();

    for folder in FOLDERS {
        for path in files_in(&root.join(folder)) {
            let name = path
                .strip_prefix(&root)
                .expect("inside")
                .display()
                .to_string();
            let text = fs::read_to_string(&path).expect(&name);

            source.add(&name, &text);
        }
    }

    source
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");

    entries
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| {
            if path.is_dir() {
                files_in(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| !path.ends_with("tests.rs"))
        .collect()
}

impl Source {
    /// Adds the statements of one file.
    pub(crate) fn add(&mut self, name: &str, text: &str) {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut finder = Finder {
            file: name,
            constants: Constants::of(&file),
            source: self,
        };

        finder.visit_file(&file);
    }
}

struct Finder<'a> {
    file: &'a str,
    constants: Constants,
    source: &'a mut Source,
}

impl Finder<'_> {
    fn statement(&mut self, text: String) {
        // A builder continues with a value.
        let text = if text.ends_with(' ') {
            text + "$1"
        } else {
            text
        };
        self.source.statements.insert((self.file.to_owned(), text));
    }

    /// Adds the statement of an expression, or the expression itself if it is built at run time.
    fn made(&mut self, expression: &Expr) {
        match self.constants.text(expression) {
            Some(text) => self.statement(text),
            None => {
                let tokens = expression.to_token_stream().to_string();
                self.source.built.insert(tokens);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    /// Skips documentation, which may quote SQL.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let is_test = |attribute: &Attribute| {
            attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Ident>()
                    .is_ok_and(|name| name == "test")
        };

        if !module.attrs.iter().any(is_test) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        let first = call.args.first();

        match (&*call.func, first) {
            (Expr::Path(function), Some(first)) if names(&function.path, &BUILDERS) => {
                self.made(first);
            }
            (Expr::Path(function), Some(first @ Expr::Lit(_))) if names(&function.path, &CALLS) => {
                self.made(first);
            }
            _ => visit::visit_expr_call(self, call),
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        if looks_like_sql(&literal.value()) {
            self.statement(literal.value());
        }
    }

    fn visit_expr_macro(&mut self, expression: &'ast ExprMacro) {
        let makes_text = ["concat", "format"]
            .iter()
            .any(|name| expression.mac.path.is_ident(name));

        if makes_text {
            if mentions_sql(&expression.mac) {
                self.made(&Expr::Macro(expression.clone()));
            }
            return;
        }
        match self.constants.text(&Expr::Macro(expression.clone())) {
            Some(text) if looks_like_sql(&text) => self.statement(text),
            _ => visit::visit_expr_macro(self, expression),
        }
    }

    /// Any other macro either has expressions as arguments or contains no SQL.
    fn visit_macro(&mut self, called: &'ast Macro) {
        let arguments: syn::Result<Punctuated<Expr, Token![,]>> =
            Punctuated::parse_terminated.parse2(called.tokens.clone());

        match arguments {
            Ok(arguments) => {
                let mut inner = Finder {
                    file: self.file,
                    constants: self.constants.clone(),
                    source: &mut *self.source,
                };
                for argument in &arguments {
                    inner.visit_expr(argument);
                }
            }
            Err(_) if mentions_sql(called) && !called.path.is_ident("macro_rules") => {
                self.source
                    .built
                    .insert(called.to_token_stream().to_string());
            }
            Err(_) => {}
        }
    }
}

fn names(path: &syn::Path, known: &[&str]) -> bool {
    path.segments
        .iter()
        .any(|segment| known.contains(&segment.ident.to_string().as_str()))
}

fn mentions_sql(called: &Macro) -> bool {
    let tokens = called.tokens.to_string();
    let is_called = CALLS
        .iter()
        .any(|name| tokens.contains(&format!("sqlx :: {name}")));

    is_called
        || VERBS
            .iter()
            .any(|verb| tokens.contains(&format!("\"{verb} ")))
}

fn looks_like_sql(text: &str) -> bool {
    let mut words = text.split_whitespace();

    words.next().is_some_and(|word| VERBS.contains(&word)) && words.next().is_some()
}
