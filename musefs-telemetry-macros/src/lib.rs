//! The attribute and derive macros of `musefs-telemetry`, which re-exports and documents them.
//!
//! They only turn declarations into descriptions. Whether a description is right is decided by `const fn`s of the engine, in
//! a constant that every expansion ends with, so that there is one set of rules.

mod attributes;
mod metrics;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a struct of instruments, or an enum of metrics, a metric set.
///
/// `#[metric_set(prefix = "shop")]` on a struct: each field is an instrument, its doc comment is the help text, its name is
/// `shop_`, the field's name, the unit, and `_total` on counters. `#[metric(…)]` on a field takes `unit`, `stability`, `name`
/// and, for histograms, `min`, `max`, `scale` and `text_scale`.
///
/// `#[metric_set(prefix = "shop", instrument = "counter")]` on an enum: each variant is a metric of that instrument, which is
/// `counter` or `gauge`.
#[proc_macro_attribute]
pub fn metric_set(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    finish(metrics::expand(arguments.into(), item))
}

/// Makes a struct of attribute enums the label set of a family; the fields' names are those of the labels.
#[proc_macro_attribute]
pub fn attribute_set(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    finish(attributes::expand_set(&item))
}

/// Makes an enum a label: its variants are the values, in snake case unless `#[attribute(value = "…")]` says otherwise. The
/// label is called like the enum unless `#[attribute(name = "…")]` says otherwise.
#[proc_macro_derive(AttributeEnum, attributes(attribute))]
pub fn attribute_enum(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    finish(attributes::expand_enum(&item))
}

fn finish(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// `HeaderCache` as `header_cache`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (index, character) in name.chars().enumerate() {
        if character.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

/// The doc comment as one line.
fn help(attributes: &[syn::Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| {
        let syn::Meta::NameValue(doc) = &attribute.meta else {
            return None;
        };
        let syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) = &doc.value
        else {
            return None;
        };
        doc.path
            .is_ident("doc")
            .then(|| text.value().trim().to_owned())
    });
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
