//! Evaluates the constant texts of a file: literals, constants, `concat!`, `format!` and local macros.

use std::collections::HashMap;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, File, Item, Lit, Macro, Token};

/// Constants and macros of a file, by name.
#[derive(Clone, Default)]
pub(super) struct Constants {
    values: HashMap<String, Expr>,
    macros: HashMap<String, Rule>,
}

/// A macro with one rule.
#[derive(Clone)]
struct Rule {
    parameters: Vec<String>,
    body: String,
}

impl Constants {
    pub(super) fn of(file: &File) -> Self {
        let mut constants = Self::default();

        for item in &file.items {
            match item {
                Item::Const(item) => {
                    let name = item.ident.to_string();
                    constants.values.insert(name, (*item.expr).clone());
                }
                Item::Macro(item) => {
                    let name = item.ident.as_ref().map(ToString::to_string);
                    let rule = Rule::parse(&item.mac.tokens.to_string());
                    constants.macros.extend(name.zip(rule));
                }
                _ => {}
            }
        }

        constants
    }

    /// Returns the text of an expression; `None` when it is not a constant of this file.
    pub(super) fn text(&self, expression: &Expr) -> Option<String> {
        match expression {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            Expr::Path(path) => {
                let name = path.path.get_ident()?.to_string();
                self.text(self.values.get(&name)?)
            }
            Expr::Reference(reference) => self.text(&reference.expr),
            Expr::Macro(called) => self.text_of_macro(&called.mac),
            _ => None,
        }
    }

    fn text_of_macro(&self, called: &Macro) -> Option<String> {
        let name = called.path.get_ident()?.to_string();
        let arguments: Punctuated<Expr, Token![,]> = Punctuated::parse_terminated
            .parse2(called.tokens.clone())
            .ok()?;

        match name.as_str() {
            "concat" => arguments.iter().map(|part| self.text(part)).collect(),
            "format" => self.filled(&self.text(arguments.first()?)?),
            _ => {
                let texts: Option<Vec<String>> = arguments
                    .iter()
                    .map(|argument| self.text(argument))
                    .collect();
                self.text(&self.macros.get(&name)?.expand(&texts?)?)
            }
        }
    }

    /// Replaces the constants in braces by their texts.
    fn filled(&self, text: &str) -> Option<String> {
        let Some((before, rest)) = text.split_once('{') else {
            return Some(text.to_owned());
        };
        let (name, after) = rest.split_once('}')?;
        let value = self.text(self.values.get(name)?)?;

        Some(format!("{before}{value}{}", self.filled(after)?))
    }
}

impl Rule {
    fn parse(tokens: &str) -> Option<Self> {
        let tokens = tokens.replace("$ ", "$");
        let (pattern, body) = tokens.split_once("=>")?;
        let body = body.trim().trim_end_matches(';').trim();
        let parameters = pattern.split('$').skip(1);

        Some(Self {
            parameters: parameters
                .filter_map(|parameter| parameter.split_once(':'))
                .map(|(name, _)| format!("${}", name.trim()))
                .collect(),
            body: body.to_owned(),
        })
    }

    fn expand(&self, arguments: &[String]) -> Option<Expr> {
        let mut named: Vec<(&String, &String)> = self.parameters.iter().zip(arguments).collect();
        // The longest name first, because a name may be the prefix of another.
        named.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));

        let body = named
            .into_iter()
            .fold(self.body.clone(), |body, (name, value)| {
                body.replace(name.as_str(), &format!("{value:?}"))
            });
        match syn::parse_str(&body).ok()? {
            Expr::Block(block) => match block.block.stmts.as_slice() {
                [syn::Stmt::Expr(inner, None)] => Some(inner.clone()),
                [syn::Stmt::Macro(inner)] => Some(Expr::Macro(syn::ExprMacro {
                    attrs: Vec::new(),
                    mac: inner.mac.clone(),
                })),
                _ => None,
            },
            inner => Some(inner),
        }
    }
}
