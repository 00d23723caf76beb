//! Metric sets: structs of instruments, and enums of metrics.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::Parser as _;
use syn::{Data, DeriveInput, Error, Expr, Fields, LitStr, Type};

use crate::{help, snake_case};

/// What `#[metric_set(…)]` says.
#[derive(Default)]
struct Set {
    prefix: String,
    instrument: Option<LitStr>,
}

/// What `#[metric(…)]` says.
struct Options {
    name: Option<String>,
    unit: Unit,
    stability: TokenStream,
    buckets: TokenStream,
}

#[derive(Clone, Copy)]
enum Unit {
    None,
    Seconds,
    Bytes,
    Ratio,
}

pub(crate) fn expand(arguments: TokenStream, mut item: DeriveInput) -> syn::Result<TokenStream> {
    let mut set = Set::default();
    let parser = syn::meta::parser(|meta| {
        if meta.path.is_ident("prefix") {
            set.prefix = meta.value()?.parse::<LitStr>()?.value();
        } else if meta.path.is_ident("instrument") {
            set.instrument = Some(meta.value()?.parse()?);
        } else {
            return Err(meta.error("`prefix` and `instrument` are known here"));
        }
        Ok(())
    });
    parser.parse2(arguments)?;
    match &mut item.data {
        Data::Struct(body) if set.instrument.is_none() => {
            let code = expand_struct(&item.ident, &set, body)?;
            Ok(quote! { #item #code })
        }
        Data::Enum(body) => {
            let code = expand_enum(&item.ident, &set, body)?;
            Ok(quote! { #item #code })
        }
        _ => Err(Error::new_spanned(
            &item.ident,
            "a metric set is a struct of instruments, or an enum with an `instrument`",
        )),
    }
}

fn expand_struct(
    ident: &syn::Ident,
    set: &Set,
    body: &mut syn::DataStruct,
) -> syn::Result<TokenStream> {
    let Fields::Named(fields) = &mut body.fields else {
        return Err(Error::new_spanned(ident, "the fields of a set have names"));
    };
    let (mut names, mut types, mut families) = (Vec::new(), Vec::new(), Vec::new());
    for field in &mut fields.named {
        let options = options(&mut field.attrs)?;
        let name = field.ident.clone().expect("a named field has a name");
        let ty = &field.ty;
        let metric = metric_name(set, &name.to_string(), &options, is_counter(ty));
        let help = help(&field.attrs);
        let (unit, stability, buckets) =
            (options.unit.path(), &options.stability, &options.buckets);
        families.push(quote! {
            ::musefs_telemetry::Family {
                name: #metric,
                unit: #unit,
                help: #help,
                kind: <#ty as ::musefs_telemetry::MetricField>::INSTRUMENT.kind(#buckets),
                stability: #stability,
                labels: <#ty as ::musefs_telemetry::MetricField>::LABELS,
                only: ::core::option::Option::None,
                named: false,
            }
        });
        names.push(name);
        types.push(ty.clone());
    }
    let descriptor = descriptor(ident, &families);
    Ok(quote! {
        #[automatically_derived]
        impl ::musefs_telemetry::MetricSet for #ident {
            #descriptor

            fn declare(
                engine: &::musefs_telemetry::Engine,
            ) -> ::core::result::Result<Self, ::musefs_telemetry::DescribeError> {
                let mut parts = engine.declare_set(
                    <Self as ::musefs_telemetry::MetricSet>::DESCRIPTOR,
                    &[#(<#types as ::musefs_telemetry::MetricField>::INSTRUMENT),*],
                )?;
                ::core::result::Result::Ok(Self {
                    #(#names: <#types as ::musefs_telemetry::MetricField>::attach(parts.take()),)*
                })
            }
        }

        const _: () = ::musefs_telemetry::describe::assert_set(
            <#ident as ::musefs_telemetry::MetricSet>::DESCRIPTOR.fields,
        );
    })
}

fn expand_enum(
    ident: &syn::Ident,
    set: &Set,
    body: &mut syn::DataEnum,
) -> syn::Result<TokenStream> {
    let (instrument, counts) = match set.instrument.as_ref().map(LitStr::value).as_deref() {
        Some("counter") => (quote!(::musefs_telemetry::Instrument::Counter), true),
        Some("gauge") => (quote!(::musefs_telemetry::Instrument::Gauge), false),
        _ => {
            let message = "an enum of metrics says `instrument = \"counter\"` or `\"gauge\"`";
            return Err(Error::new_spanned(ident, message));
        }
    };
    let mut families = Vec::new();
    for variant in &mut body.variants {
        if !matches!(variant.fields, Fields::Unit) || variant.discriminant.is_some() {
            let message = "a metric of an enum has neither fields nor a number of its own";
            return Err(Error::new_spanned(variant, message));
        }
        let options = options(&mut variant.attrs)?;
        let base = snake_case(&variant.ident.to_string());
        let metric = metric_name(set, &base, &options, counts);
        let help = help(&variant.attrs);
        let (unit, stability, buckets) =
            (options.unit.path(), &options.stability, &options.buckets);
        families.push(quote! {
            ::musefs_telemetry::Family {
                name: #metric,
                unit: #unit,
                help: #help,
                kind: #instrument.kind(#buckets),
                stability: #stability,
                labels: &[],
                only: ::core::option::Option::None,
                named: false,
            }
        });
    }
    let variants = body.variants.iter().map(|variant| &variant.ident);
    let descriptor = descriptor(ident, &families);
    Ok(quote! {
        #[automatically_derived]
        impl ::musefs_telemetry::ClosedSet for #ident {
            const ALL: &'static [Self] = &[#(Self::#variants),*];
            const INSTRUMENT: ::musefs_telemetry::Instrument = #instrument;
            #descriptor

            #[inline]
            fn position(self) -> usize {
                self as usize
            }
        }

        const _: () = ::musefs_telemetry::describe::assert_set(
            <#ident as ::musefs_telemetry::ClosedSet>::DESCRIPTOR.fields,
        );
    })
}

fn descriptor(ident: &syn::Ident, families: &[TokenStream]) -> TokenStream {
    quote! {
        const DESCRIPTOR: &'static ::musefs_telemetry::describe::MetricsDescriptor =
            &::musefs_telemetry::describe::MetricsDescriptor {
                name: stringify!(#ident),
                fields: &[#(#families),*],
            };
    }
}

/// Whether a type is called like one whose metrics are totals. A name that comes out wrong is refused by the engine's rules.
fn is_counter(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|last| {
        ["Counter", "Counters", "ObserveCounters"]
            .iter()
            .any(|name| last.ident == name)
    })
}

fn metric_name(set: &Set, base: &str, options: &Options, counts: bool) -> String {
    if let Some(name) = &options.name {
        return name.clone();
    }
    let mut name = if set.prefix.is_empty() {
        base.to_owned()
    } else {
        format!("{}_{base}", set.prefix)
    };
    let unit = options.unit.suffix();
    if !name.ends_with(unit) {
        name.push_str(unit);
    }
    if counts {
        name.push_str("_total");
    }
    name
}

impl Unit {
    fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "_seconds",
            Self::Bytes => "_bytes",
            Self::Ratio => "_ratio",
        }
    }

    fn path(self) -> TokenStream {
        match self {
            Self::None => quote!(::musefs_telemetry::Unit::None),
            Self::Seconds => quote!(::musefs_telemetry::Unit::Seconds),
            Self::Bytes => quote!(::musefs_telemetry::Unit::Bytes),
            Self::Ratio => quote!(::musefs_telemetry::Unit::Ratio),
        }
    }
}

/// Takes the `#[metric(…)]` attributes away and tells what they say.
fn options(attributes: &mut Vec<syn::Attribute>) -> syn::Result<Options> {
    let mut options = Options {
        name: None,
        unit: Unit::None,
        stability: quote!(::musefs_telemetry::Stability::Stable),
        buckets: TokenStream::new(),
    };
    let mut bounds: [Option<Expr>; 4] = Default::default();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("metric"))
    {
        attribute.parse_nested_meta(|meta| {
            let key = meta.path.require_ident()?.to_string();
            let value = meta.value()?;
            match key.as_str() {
                "name" => options.name = Some(value.parse::<LitStr>()?.value()),
                "unit" => options.unit = unit(&value.parse()?)?,
                "stability" => options.stability = stability(&value.parse()?)?,
                "min" => bounds[0] = Some(value.parse()?),
                "max" => bounds[1] = Some(value.parse()?),
                "scale" => bounds[2] = Some(value.parse()?),
                "text_scale" => bounds[3] = Some(value.parse()?),
                _ => {
                    return Err(meta.error(
                        "`name`, `unit`, `stability`, `min`, `max`, `scale` and `text_scale` are known here",
                    ));
                }
            }
            Ok(())
        })?;
    }
    attributes.retain(|attribute| !attribute.path().is_ident("metric"));
    // A histogram without a range is refused by the engine's rules.
    options.buckets = quote!(::musefs_telemetry::Buckets::powers_of_two(0, 0));
    if let [Some(min), Some(max), scale, text_scale] = bounds {
        let scale = scale.map(|scale| quote!(.with_scale(#scale)));
        let text_scale = text_scale.map(|scale| quote!(.with_text_scale(#scale)));
        options.buckets =
            quote!(::musefs_telemetry::Buckets::powers_of_two(#min, #max) #scale #text_scale);
    }
    Ok(options)
}

fn unit(text: &LitStr) -> syn::Result<Unit> {
    match text.value().as_str() {
        "seconds" => Ok(Unit::Seconds),
        "bytes" => Ok(Unit::Bytes),
        "ratio" => Ok(Unit::Ratio),
        _ => Err(Error::new_spanned(
            text,
            "a unit is a base unit: `seconds`, `bytes` or `ratio`",
        )),
    }
}

fn stability(text: &LitStr) -> syn::Result<TokenStream> {
    match text.value().as_str() {
        "stable" => Ok(quote!(::musefs_telemetry::Stability::Stable)),
        "experimental" => Ok(quote!(::musefs_telemetry::Stability::Experimental)),
        _ => Err(Error::new_spanned(
            text,
            "a metric is `stable` or `experimental`",
        )),
    }
}
