//! The C header, made by cbindgen from `src/capi`.
//!
//! cbindgen does not expand macros, and the exported shells stand inside one (`shells!` in `ffi.rs`) that gives each its panic
//! barrier. What is between its braces is plain Rust, so here the braces are opened: cbindgen sees the functions with the very
//! signatures that rustc compiles.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use cbindgen::{Builder, Config};
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Item, parse_quote};

use crate::generated::Generated;

/// `include/dsma.h`.
pub(crate) fn file(root: &Path) -> Result<Generated, Box<dyn Error>> {
    Ok(Generated { path: root.join("include/dsma.h"), text: generate(root)?, mend: "make header" })
}

fn generate(root: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let room = root.join("src/capi");
    let opened = tempfile::tempdir()?;
    let mut builder = Builder::new().with_config(Config::from_file(root.join("cbindgen.toml"))?);
    let mut sources: Vec<PathBuf> = fs::read_dir(&room)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    sources.sort();
    for source in sources {
        let target = opened.path().join(source.file_name().unwrap_or_default());
        fs::write(&target, open_macro(&fs::read_to_string(&source)?)?.to_string())?;
        builder = builder.with_src(target);
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);
    Ok(text)
}

/// The file with the functions of `shells! { .. }` as exported functions of its own.
fn open_macro(source: &str) -> syn::Result<TokenStream> {
    let mut file = syn::parse_file(source)?;
    let mut items = Vec::new();
    for item in file.items {
        match item {
            Item::Macro(call) if call.mac.path.is_ident("shells") => {
                for shell in syn::parse2::<syn::File>(call.mac.tokens)?.items {
                    let Item::Fn(mut shell) = shell else { continue };
                    shell.attrs.push(parse_quote! { #[unsafe(no_mangle)] });
                    shell.vis = parse_quote! { pub };
                    items.push(Item::Fn(shell));
                }
            }
            // cbindgen takes public constants alone, and no item of a cdylib's private module has a reason to be public.
            Item::Const(mut constant) if constant.ident.to_string().starts_with("DSMA_") => {
                constant.vis = parse_quote! { pub };
                items.push(Item::Const(constant));
            }
            // Imports and modules mean nothing in a file by itself.
            Item::Use(_) | Item::Mod(_) => {}
            other => items.push(other),
        }
    }
    file.items = items;
    Ok(file.into_token_stream())
}
