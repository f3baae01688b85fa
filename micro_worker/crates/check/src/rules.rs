//! The rules, over a source's tokens: macros cannot hide a word from them, because no stable macro
//! can put a new word together. What could are strings that serde's derive compiles, and a `#` that
//! a macro puts before brackets from elsewhere: both are refused.

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

/// Brackets in brackets: more would use up the compiler's stack, and this program's.
const DEEPEST: usize = 128;

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
    walk(tokens, 0, &mut found);
    found.sort_by_key(|fault| fault.line);
    found.dedup();
    found
}

fn walk(tokens: TokenStream, depth: usize, found: &mut Vec<Fault>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (place, token) in tokens.iter().enumerate() {
        let (before, after) = (&tokens[..place], &tokens[place + 1..]);
        match token {
            TokenTree::Ident(word) => judge(word, after, found),
            TokenTree::Punct(mark) if mark.as_char() == '#' => attribute(token, after, found),
            TokenTree::Group(group) if depth == DEEPEST => found.push(Fault {
                line: group.span_open().start().line,
                reason: format!("more than {} brackets in one another", DEEPEST),
            }),
            TokenTree::Group(group) => {
                if called(before) && holds_mark(group.stream()) {
                    found.push(Fault {
                        line: group.span_open().start().line,
                        reason:
                            "a macro is given an attribute or a doc comment, and could put its \
                                 `#` before another: leave it out"
                                .to_owned(),
                    });
                }
                walk(group.stream(), depth + 1, found);
            }
            _ => {}
        }
    }
}

/// Whether brackets after these tokens hold a macro's arguments: `name!`, and no inner attribute.
fn called(before: &[TokenTree]) -> bool {
    let mark = |token: &TokenTree, wanted| match token {
        TokenTree::Punct(mark) => mark.as_char() == wanted,
        _ => false,
    };
    match before {
        [.., first, last] => mark(last, '!') && !mark(first, '#'),
        _ => false,
    }
}

/// Whether there is a `#` in the first `DEEPEST` levels: deeper ones are refused anyway.
fn holds_mark(tokens: TokenStream) -> bool {
    fn holds(tokens: TokenStream, depth: usize) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Punct(mark) => mark.as_char() == '#',
            TokenTree::Group(group) => depth < DEEPEST && holds(group.stream(), depth + 1),
            _ => false,
        })
    }
    holds(tokens, 0)
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
        // `mod name {`, where a macro's body may have `$name`.
        let name = match after {
            [TokenTree::Punct(mark), rest @ ..] if mark.as_char() == '$' => rest,
            all => all,
        };
        match name {
            [TokenTree::Ident(_), TokenTree::Group(group), ..]
                if group.delimiter() == Delimiter::Brace => {}
            _ => fault("a function is one file: write the module's content here".to_owned()),
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

fn attribute(mark: &TokenTree, after: &[TokenTree], found: &mut Vec<Fault>) {
    let after = match after {
        [TokenTree::Punct(mark), rest @ ..] if mark.as_char() == '!' => rest,
        all => all,
    };
    let group = match after {
        [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Bracket => group,
        // Also the `#!` of a script: the compiler skips its line, and sees other comments than we.
        _ => {
            return found.push(Fault {
                line: mark.span().start().line,
                reason: "a `#` that begins no attribute".to_owned(),
            })
        }
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
    if name == "serde" {
        compiled_strings(group.stream(), 0, found);
    }
}

/// Serde's derive compiles what is in strings: types, paths, conditions. Without these marks they
/// can hold no block, no macro, and nothing that is not to be seen here.
fn compiled_strings(tokens: TokenStream, depth: usize, found: &mut Vec<Fault>) {
    for token in tokens {
        let (bad, reason) = match &token {
            TokenTree::Group(group) if depth < DEEPEST => {
                compiled_strings(group.stream(), depth + 1, found);
                continue;
            }
            TokenTree::Literal(text) => (
                text.to_string().contains(['{', '}', '!', '\\']),
                "serde compiles its strings: they may not hold `{`, `}`, `!` or `\\`",
            ),
            TokenTree::Punct(mark) => {
                (mark.as_char() == '$', "a macro may not write what serde compiles")
            }
            _ => continue,
        };
        if bad {
            found.push(Fault { line: token.span().start().line, reason: reason.to_owned() });
        }
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
            macro_rules! module { ($name:ident) => { mod $name { #[inline] pub fn f() {} } } }
            /// A doc comment, and an attribute of a macro's own.
            fn not(x: bool) -> bool { !(x) && !x }
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
    fn no_macro_puts_an_attribute_together() {
        let m = "macro_rules! m { ($g:tt $h:tt) => { $h $g mod x { } } }";
        refused(&format!("{}\nm!{{ [path = \"/x\"] # }}", m), 2, "begins no attribute");
        refused("macro_rules! m { ($g:tt) => { # $g fn f() {} } }", 1, "begins no attribute");
        refused("macro_rules! m { ($($g:tt)*) => { $($g)#* fn f() {} } }", 1, "begins no");
        // A doc comment is `#` and brackets to a macro.
        refused("m!{\n/// text\n x }", 1, "doc comment");
        refused("m!{ { #[inline] fn f() {} } }", 1, "doc comment");
        refused("macro_rules! m { ($n:ident) => { mod $n; } }", 1, "one file");
        refused("macro_rules! m { ($n:ident $b:tt) => { mod $n $b } }", 1, "one file");
    }

    #[test]
    fn serdes_strings_hold_no_code() {
        for text in ["m!(): Sized", "[u8; { 0 }]: Sized", "\\x6d: Sized"] {
            refused(&format!("#[serde(bound(serialize = \"{}\"))] struct X;", text), 1, "serde");
        }
        refused("macro_rules! m { ($x:tt) => { #[serde(bound = $x)] struct X; } }", 1, "serde");
    }

    #[test]
    fn no_comment_is_another_one_for_the_compiler() {
        // The compiler skips the first line, and compiles the second.
        refused("#!/*\nfn f() { include_bytes!(\"/x\") }\n// */\nfn g() {}", 1, "`#`");
        assert_eq!(faults("#! /* no script */ [allow(unused)]\nfn f() {}"), []);
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| format!("{}{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(faults(&nested(DEEPEST)), []);
        refused(&nested(100_000), 1, "brackets");
        refused(&format!("m!{}", nested(100_000)), 1, "brackets");
    }

    #[test]
    fn what_is_no_rust_is_refused() {
        refused("fn f( {", 1, "no Rust");
        refused("let x = \"unfinished", 1, "no Rust");
    }
}
