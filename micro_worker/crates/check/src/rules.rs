//! The rules, over a source's tokens: macros cannot hide a word from them, because no stable macro
//! can put a new word together.

use std::str::FromStr;

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};

/// Something that a function may not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub reason: String,
}

/// Words that are refused wherever they stand, and why.
const WORDS: &[(&str, &str)] = &[
    ("unsafe", "`unsafe` is forbidden: the isolation rests on the compiler's checks"),
    (
        "extern",
        "`extern` is forbidden: no raw FFI, and crates of the allow-list need no declaration",
    ),
    ("asm", "assembly is forbidden; if this is a name of your own, choose another"),
    ("global_asm", "assembly is forbidden"),
    ("naked_asm", "assembly is forbidden"),
    ("include", "a function is one file and reads no other; if this is your own name, change it"),
    ("include_str", "a function is one file and reads no other"),
    ("include_bytes", "a function is one file and reads no other"),
    ("env", "the build's environment is not for functions; if this is your own name, change it"),
    ("option_env", "the build's environment is not for functions"),
];

/// Attributes that a function may carry. Others can name symbols, sections, files or features.
const ATTRIBUTES: &[&str] = &[
    "allow",
    "cold",
    "default",
    "deny",
    "deprecated",
    "derive",
    "doc",
    "forbid",
    "inline",
    "must_use",
    "non_exhaustive",
    "repr",
    "rustfmt",
    "serde",
    "track_caller",
    "warn",
];

/// All faults of a source, in the order of its lines.
pub fn faults(source: &str) -> Vec<Fault> {
    let tokens = match TokenStream::from_str(source) {
        Ok(tokens) => tokens,
        Err(error) => {
            let line = error.span().start().line;
            return vec![Fault {
                line,
                reason: "this is no Rust: a token or bracket is wrong".into(),
            }];
        }
    };
    let mut found = Vec::new();
    walk(tokens, &mut found);
    found.sort_by_key(|fault| fault.line);
    found.dedup();
    found
}

fn walk(tokens: TokenStream, found: &mut Vec<Fault>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (place, token) in tokens.iter().enumerate() {
        let after = &tokens[place + 1..];
        match token {
            TokenTree::Ident(word) => judge(word, after, found),
            TokenTree::Punct(mark) if mark.as_char() == '#' => attribute(after, found),
            TokenTree::Group(group) => walk(group.stream(), found),
            _ => {}
        }
    }
}

fn judge(word: &Ident, after: &[TokenTree], found: &mut Vec<Fault>) {
    let text = plain(word);
    let mut fault = |reason: String| found.push(Fault { line: word.span().start().line, reason });
    if let Some((_, reason)) = WORDS.iter().find(|(name, _)| *name == text) {
        fault((*reason).to_owned());
    } else if text == "std" {
        fault(format!(
            "`{}` is not there for functions: they have core, alloc and the allow-list",
            path_of(&text, after)
        ));
    } else if text == "mod" {
        if let [TokenTree::Ident(_), TokenTree::Punct(mark), ..] = after {
            if mark.as_char() == ';' {
                fault("a function is one file: write the module's content here".to_owned());
            }
        }
    }
}

/// `std` with what follows it up to the second part: `std::process`.
fn path_of(first: &str, after: &[TokenTree]) -> String {
    match after {
        [TokenTree::Punct(one), TokenTree::Punct(other), TokenTree::Ident(next), ..]
            if one.as_char() == ':'
                && one.spacing() == Spacing::Joint
                && other.as_char() == ':' =>
        {
            format!("{}::{}", first, next)
        }
        _ => first.to_owned(),
    }
}

fn attribute(after: &[TokenTree], found: &mut Vec<Fault>) {
    let after = match after {
        [TokenTree::Punct(mark), rest @ ..] if mark.as_char() == '!' => rest,
        all => all,
    };
    let group = match after {
        [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Bracket => group,
        _ => return,
    };
    let (name, line) = match group.stream().into_iter().next() {
        Some(TokenTree::Ident(word)) => (plain(&word), word.span().start().line),
        other => {
            let line = other.map_or(group.span_open(), |token| token.span()).start().line;
            (String::new(), line)
        }
    };
    if !ATTRIBUTES.contains(&name.as_str()) {
        found.push(Fault {
            line,
            reason: format!("the attribute `{}` is not one of: {}", name, ATTRIBUTES.join(", ")),
        });
    }
}

/// A word without the `r#` that could disguise it.
fn plain(word: &Ident) -> String {
    let text = word.to_string();
    text.strip_prefix("r#").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(source: &str, line: usize, part: &str) {
        let found = faults(source);
        assert!(
            found.iter().any(|fault| fault.line == line && fault.reason.contains(part)),
            "{:?}",
            found
        );
    }

    #[test]
    fn ordinary_functions_pass() {
        let source = r###"
            //! unsafe in a comment, and std::process
            use alloc::collections::BTreeMap;
            use micro::prelude::*;
            #[derive(Debug, Clone)]
            #[serde(rename_all = "camelCase")]
            struct Point { x: u8 }
            mod inner { pub fn one() -> u8 { 1 } }
            macro_rules! twice { ($x:expr) => { $x + $x } }
            pub fn main(args: &[u8]) -> Result<Vec<u8>, String> {
                let text = r#"unsafe extern "C" std::process"#;
                let c = 'x'; let life: &'static str = "env!";
                Ok(vec![twice!(inner::one())])
            }
        "###;
        assert_eq!(faults(source), []);
    }

    #[test]
    fn what_is_forbidden_is_named_with_its_line() {
        refused("fn f() {\n unsafe { g() }\n}", 2, "`unsafe`");
        refused("use std::process::Command;", 1, "`std::process`");
        refused("\n\nfn f() { ::std::fs::read(x) }", 3, "`std::fs`");
        refused("use {std as s};", 1, "`std`");
        refused("extern \"C\" { fn puts(s: *const u8); }", 1, "FFI");
        refused("extern crate rand;", 1, "`extern`");
        refused("core::arch::global_asm!(\"ret\");", 1, "assembly");
        refused("use core::arch::asm as harmless;", 1, "assembly");
        refused("const X: &str = include_str!(\"/etc/passwd\");", 1, "one file");
        refused("const X: &str = env!(\"HOME\");", 1, "environment");
        refused("mod other;", 1, "one file");
        refused("#[no_mangle] pub fn malloc() {}", 1, "`no_mangle`");
        refused("#[path = \"/x.rs\"] mod x { }", 1, "`path`");
        refused("#![feature(asm)]", 1, "`feature`");
        refused("#[cfg_attr(all(), no_mangle)] pub fn f() {}", 1, "`cfg_attr`");
        refused("#[link_section = \".init_array\"] static F: fn() = f;", 1, "`link_section`");
    }

    #[test]
    fn macros_hide_nothing() {
        refused("macro_rules! m { () => { unsafe { f() } } }", 1, "`unsafe`");
        refused("m! { #[no_mangle] fn f() {} }", 1, "`no_mangle`");
        refused("macro_rules! m { ($a:meta) => { #[$a] fn f() {} } }", 1, "attribute");
        refused("fn f() { r#std::process::exit(1) }", 1, "`std::process`");
    }

    #[test]
    fn what_is_no_rust_is_refused() {
        refused("fn f( {", 1, "no Rust");
        refused("let x = \"unfinished", 1, "no Rust");
    }
}
